// The render daemon's folder: the job store, the pictures, uploaded conditioning, checkpoints. One daemon at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "render_node/jobs/durable_file.h"

namespace diptych {

// Holds the folder's lock while it lives; the kernel drops it when the process ends in whatever way.
class StateFolder {
 public:
  // Makes the folder and its parts if they are not there, takes others the right to read what is, and clears what a
  // killed daemon left half written. Throws Error: kFailedPrecondition when another daemon uses the folder, it belongs
  // to another user or is one like /tmp, a part of it is a link, a pipe or somebody else's, something else than a
  // folder has its name, or it is not on a disk that the job store works on; kUnavailable when it cannot be made or
  // written.
  explicit StateFolder(const std::filesystem::path& root);

  // For the log, a line each.
  const std::vector<std::string>& warnings() const { return warnings_; }

  struct Health {
    int64_t free_bytes = 0;  // of its disk, for this user
    std::string problem;     // why the next job may not be kept; empty: none is known
  };
  // Asks the disk, writes nothing.
  Health health() const;
  // Throws Error(kResourceExhausted) when less than `min_free_bytes` of the disk, or a twentieth of a smaller one, is
  // free: a new job would take what the accepted ones need. Asks the disk.
  void CheckRoom(int64_t min_free_bytes) const;

  // Leaves a mark that the daemon was asked to stop; TakeStopMark says whether the last one left it, and removes it. A
  // mark that cannot be written is none.
  void LeaveStopMark() const;
  bool TakeStopMark() const;

  // What this folder's daemons are called among those that share a job store, the same in all their lives; of these
  // only one lives at a time, for it holds the lock. Made at the first call, from `random` and the time. Throws Error
  // when the disk fails.
  std::string Name(const std::function<uint64_t()>& random, int64_t now_unix_ms) const;

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path database() const { return root_ / "jobs.sqlite"; }
  std::filesystem::path pictures() const { return root_ / "pictures"; }
  std::filesystem::path conditioning() const { return root_ / "conditioning"; }              // uploaded
  std::filesystem::path inputs() const { return root_ / "inputs"; }                          // uploaded
  std::filesystem::path conditioning_store() const { return root_ / "conditioning-store"; }  // made by its user
  std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }

 private:
  const std::filesystem::path root_;
  std::unique_ptr<FileDescriptor> lock_;
  std::vector<std::string> warnings_;
};

}  // namespace diptych
