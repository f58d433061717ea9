// How far each unfinished picture is, one file a job, so that a killed daemon goes on at the last step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "render_node/jobs/checkpoint_format.h"

namespace diptych {

// What became of a job's checkpoint.
struct CheckpointLoad {
  std::optional<PictureCheckpoint> checkpoint;
  std::string refused;  // why a file that is or was there is of no use, one line; empty when there was none
};

// Thread-safe for different jobs; one job's calls come one after another. A checkpoint is written to a temporary file
// and renamed but never synced: a killed process loses nothing by that, and a step does not wait for the disk. A power
// cut may leave an older checkpoint, none, or a torn one, which the checksum finds; then the job starts over, and
// nothing else is lost.
class CheckpointStore {
 public:
  // `folder` must be there, and be for checkpoints alone.
  explicit CheckpointStore(std::filesystem::path folder);

  // Replaces the job's checkpoint. When it throws Error (durable_file.h: disk full, read-only, ...; kInvalidArgument:
  // checkpoint_format.h) the one before it is still there.
  void Save(const std::string& job_id, const PictureCheckpoint& checkpoint);

  // The job's checkpoint if it is whole and of this picture. Any other is removed: damaged, of another format version,
  // of another job, with other determinants. One that cannot be read now (permissions, too many open files) stays.
  // Either way the job can start over; only a name that is no job id is an error (kNotFound).
  CheckpointLoad Load(const std::string& job_id, const std::string& determinants);

  // The finished steps of the job's checkpoint, whatever it is of; 0 without a whole one.
  int32_t StepOf(const std::string& job_id) const;

  // No error when there is none.
  void Remove(const std::string& job_id);

  // For the start: deletes the checkpoints of all other jobs, and what writers that were killed left.
  void RemoveAllBut(const std::set<std::string>& job_ids);

 private:
  std::filesystem::path PathOf(const std::string& job_id) const;

  const std::filesystem::path folder_;
};

}  // namespace diptych
