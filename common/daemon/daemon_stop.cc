#include "common/daemon/daemon_stop.h"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace diptych {

DaemonStop::DaemonStop(const Logger& log) : log_(log), signal_([this] { Ask(); }) {}

void DaemonStop::Ask() {
  if (loading_) {
    log_.Info("stopped while loading");
    _exit(0);
  }
  const std::lock_guard lock(mutex_);
  is_asked_ = true;
  asked_.notify_one();
}

void DaemonStop::Fail(const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (is_asked_) return;
  failure_ = why;
  is_asked_ = true;
  asked_.notify_one();
}

std::string DaemonStop::Wait() {
  std::unique_lock lock(mutex_);  // not a future: ThreadSanitizer holds signals back while one waits for it
  asked_.wait(lock, [this] { return is_asked_; });
  return failure_;
}

void AnnounceAddresses(const std::vector<Address>& addresses) {
  std::string line = "{\"listening\":\"" + addresses.front().ToString() + "\"";
  for (size_t i = 1; i < addresses.size(); ++i) {
    line += (i == 1 ? ",\"also\":[\"" : "\",\"") + addresses[i].ToString();
  }
  if (addresses.size() > 1) line += "\"]";
  std::printf("%s}\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace diptych
