// What systemd hears from a daemon (sd_notify(3)). Nobody hears anything where NOTIFY_SOCKET is not set.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "common/log/log.h"

namespace diptych {

// "STATUS=loading the model": one or more assignments, a line each.
void TellServiceManager(const std::string& assignments);

// Called on a thread of ServiceReporter's, never two at a time.
struct ServiceReport {
  std::function<std::string()> status;  // what the daemon does, one line
  // Returns when the daemon is seen to be alive, false when it is seen not to be. One that never returns is as good as
  // false: the service manager hears nothing more and ends the daemon when WATCHDOG_USEC is over.
  std::function<bool()> is_alive;
};

// Says READY=1 when it is made: the model is loaded, the daemon serves. From then on it says the status, at most once a
// second and only when it has changed, and, if the service manager set WATCHDOG_USEC for this process, WATCHDOG=1
// twice in that time. What the report asks must outlive it.
class ServiceReporter {
 public:
  ServiceReporter(const Logger& log, ServiceReport report);
  ~ServiceReporter();
  ServiceReporter(const ServiceReporter&) = delete;
  ServiceReporter& operator=(const ServiceReporter&) = delete;

  // Says STOPPING=1. The status is not asked for any more, whether the daemon is alive still is.
  void Stopping();

 private:
  void Work();
  void SayStatus();

  const ServiceReport report_;
  std::string said_;  // the last status; the thread's own
  std::mutex mutex_;  // guards the two below
  bool stopping_ = false;
  bool ending_ = false;
  std::condition_variable changed_;
  std::thread thread_;  // none where nobody listens
};

}  // namespace diptych
