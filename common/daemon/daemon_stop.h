// When a daemon ends, and how others learn where it listens.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "common/net/address.h"
#include "common/net/shutdown_signal.h"

namespace diptych {

// Hears SIGINT and SIGTERM while it lives (shutdown_signal.h): the first is a request, the second ends the process.
// Make it on the main thread before any other thread is started, and one at a time.
class DaemonStop {
 public:
  // Until Loaded, a request ends the process at once with status 0: a load cannot be interrupted, and nothing of it is
  // worth keeping.
  explicit DaemonStop(const Logger& log);

  // Call it before anybody is told that the daemon serves: who hears that may ask for the end.
  void Loaded() { loading_ = false; }

  // Asks for the end from within; the first reason counts. Any thread.
  void Fail(const std::string& why);

  // Returns when the end has been asked for, if only before: why it failed, empty when a signal asked.
  std::string Wait();

 private:
  void Ask();

  const Logger& log_;
  std::atomic<bool> loading_ = true;
  std::mutex mutex_;
  std::condition_variable asked_;
  bool is_asked_ = false;
  std::string failure_;
  const ShutdownSignal signal_;  // last: its thread uses the others
};

// One line on stdout, {"listening":"127.0.0.1:43210"}, for programs that start this one: with port 0 nobody else knows
// the address. A name with several addresses: {"listening":"127.0.0.1:43210","also":["[::1]:43210"]}.
void AnnounceAddresses(const std::vector<Address>& addresses);

}  // namespace diptych
