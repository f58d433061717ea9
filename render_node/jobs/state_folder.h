// The render daemon's folder: the job store, the pictures, uploaded conditioning, checkpoints. One daemon at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "render_node/jobs/durable_file.h"

namespace diptych {

// Holds the folder's lock while it lives; the kernel drops it when the process ends in whatever way.
class StateFolder {
 public:
  // Makes the folder (mode 0700) and its parts if they are not there, and clears what a killed daemon left half
  // written. Throws Error: kFailedPrecondition when another daemon uses the folder or something else than a folder has
  // its name, kUnavailable when it cannot be made or written.
  explicit StateFolder(const std::filesystem::path& root);

  struct Health {
    int64_t free_bytes = 0;  // of its disk, for this user
    std::string problem;     // why the next job may not be kept; empty: none is known
  };
  // Asks the disk, writes nothing.
  Health health() const;

  // Leaves a mark that the daemon was asked to stop; TakeStopMark says whether the last one left it, and removes it. A
  // mark that cannot be written is none.
  void LeaveStopMark() const;
  bool TakeStopMark() const;

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path database() const { return root_ / "jobs.sqlite"; }
  std::filesystem::path pictures() const { return root_ / "pictures"; }
  std::filesystem::path conditioning() const { return root_ / "conditioning"; }              // uploaded
  std::filesystem::path conditioning_store() const { return root_ / "conditioning-store"; }  // made by its user
  std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }

 private:
  const std::filesystem::path root_;
  std::unique_ptr<FileDescriptor> lock_;
};

}  // namespace diptych
