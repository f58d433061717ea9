// How much memory many calls may hold together.
#pragma once

#include <cstdint>
#include <mutex>

namespace diptych {

// Thread-safe.
class ByteRoom {
 public:
  explicit ByteRoom(int64_t bytes) : bytes_(bytes) {}

  int64_t bytes() const { return bytes_; }

  bool Take(int64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (taken_ + bytes > bytes_) return false;
    taken_ += bytes;
    return true;
  }
  void Give(int64_t bytes) {
    const std::lock_guard lock(mutex_);
    taken_ -= bytes;
  }

 private:
  const int64_t bytes_;
  std::mutex mutex_;
  int64_t taken_ = 0;
};

// One call's part of it, given back at its end. Not thread-safe.
class ByteShare {
 public:
  explicit ByteShare(ByteRoom& room) : room_(room) {}
  ~ByteShare() { Release(); }
  ByteShare(const ByteShare&) = delete;
  ByteShare& operator=(const ByteShare&) = delete;

  // False, and nothing changes, when there is not as much.
  bool GrowTo(int64_t bytes) {
    if (bytes <= taken_) return true;
    if (!room_.Take(bytes - taken_)) return false;
    taken_ = bytes;
    return true;
  }
  void Release() {
    room_.Give(taken_);
    taken_ = 0;
  }
  int64_t bytes() const { return taken_; }

 private:
  ByteRoom& room_;
  int64_t taken_ = 0;
};

}  // namespace diptych
