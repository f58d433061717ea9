// What support/trouble.cc does to the daemon that it is loaded into, and how a test says so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/integration/support/process.h"

namespace diptych::integration {

// The bytes of the control file.
struct TroubleNow {
  int32_t disk_error = 0;      // errno of what writes below the folder: ENOSPC, EROFS; 0: all is well
  int32_t clock_offset_s = 0;  // added to the wall clock; the steady clock goes on as before
  int32_t open_error = 0;      // errno of what opens a file below the folder, for reading too: EMFILE
  int32_t far_host = 0;        // the system knows the name far.test as 127.0.0.N; 0: it does not
  int32_t mapping_error = 0;   // errno of shared mappings of its files: ENODEV
};

class Trouble {
 public:
  // `control`: a file that the test does not use otherwise; `folder`: whose disk is in trouble.
  Trouble(std::filesystem::path control, std::filesystem::path folder);
  ~Trouble();
  Trouble(const Trouble&) = delete;
  Trouble& operator=(const Trouble&) = delete;

  void Disk(int error) { now_->disk_error = error; }
  void Open(int error) { now_->open_error = error; }
  void FarHost(int32_t last_number) { now_->far_host = last_number; }
  void SharedMappings(int error) { now_->mapping_error = error; }
  void Clock(int32_t offset_s) { now_->clock_offset_s = offset_s; }

  Process::Environment environment() const;  // for the daemon

 private:
  const std::filesystem::path control_, folder_;
  volatile TroubleNow* now_;
};

}  // namespace diptych::integration
