#include "common/daemon/service_manager.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace diptych {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr microseconds kStatusInterval = std::chrono::seconds(1);

// Between two signs of life; 0: nobody waits for any.
microseconds WatchdogInterval() {
  uint64_t microseconds_each = 0;
  if (sd_watchdog_enabled(0, &microseconds_each) <= 0) return microseconds(0);
  return std::max(microseconds(static_cast<int64_t>(microseconds_each / 2)), microseconds(1000));
}

// A line break would begin another assignment.
std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

void TellServiceManager(const std::string& assignments) { sd_notify(0, assignments.c_str()); }

ServiceReporter::ServiceReporter(const Logger& log, ServiceReport report) : report_(std::move(report)) {
  const int told = sd_notify(0, "READY=1");
  if (told < 0) log.Warn(std::string("the service manager does not hear that we are ready: ") + std::strerror(-told));
  if (told != 0) thread_ = std::thread([this] { Work(); });
}

ServiceReporter::~ServiceReporter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ServiceReporter::Stopping() {
  const std::lock_guard lock(mutex_);  // so that no status comes after this one
  stopping_ = true;
  TellServiceManager("STOPPING=1\nSTATUS=stopping");
}

void ServiceReporter::Work() {
  const microseconds watchdog = WatchdogInterval();
  Clock::time_point next_status = Clock::now(), next_sign = next_status;
  for (;;) {
    const Clock::time_point now = Clock::now();
    if (now >= next_status) {
      next_status = now + kStatusInterval;
      SayStatus();
    }
    if (watchdog.count() > 0 && now >= next_sign) {
      next_sign = now + watchdog;
      try {
        if (report_.is_alive()) TellServiceManager("WATCHDOG=1");
      } catch (...) {  // no sign of life
      }
    }
    std::unique_lock lock(mutex_);
    const Clock::time_point next = watchdog.count() > 0 ? std::min(next_status, next_sign) : next_status;
    if (changed_.wait_until(lock, next, [this] { return ending_; })) return;
  }
}

void ServiceReporter::SayStatus() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
  }
  std::string status;
  try {
    status = OneLine(report_.status());
  } catch (...) {
    return;
  }
  if (status == said_) return;
  said_ = status;
  const std::lock_guard lock(mutex_);
  if (!stopping_) TellServiceManager("STATUS=" + status);
}

}  // namespace diptych
