// Where one private run keeps state and logs of its daemons.
#pragma once

#include <filesystem>

namespace diptych {

// A new folder below the system's temporary folder, for this user alone. A lock on it says that somebody uses it: this
// process and the daemons that it starts, which inherit the lock, so that it ends with the last of them however they
// end.
class RunFolder {
 public:
  // Removes the user's folders that nobody uses any more (their run was killed), then makes its own. Throws
  // Error(kUnavailable) when there is no room for it.
  RunFolder();
  ~RunFolder();  // Remove
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // With everything in it. May be called twice, and from any thread.
  void Remove() const;

 private:
  bool Make();  // false: somebody took the new folder for an abandoned one before it was locked

  std::filesystem::path path_;
  int lock_ = -1;  // the folder, open
};

}  // namespace diptych
