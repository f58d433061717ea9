// Accepts connections, as many as are wanted, whatever happens.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "common/net/connection_table.h"
#include "common/net/listening_sockets.h"

namespace diptych {

struct AcceptorOptions {
  ConnectionLimits limits;
  std::string limits_hint;  // which settings they are, for the log
  // Takes the descriptor of an accepted connection; `expected`: it is one of Expect. On the acceptor's thread, as the
  // other one.
  std::function<void(int listening, int connection, bool expected)> serve;
  // That connections were closed at once, and why: the first time, and then at most every `warn_interval`.
  std::function<void(const std::string& text)> warn;
  std::chrono::milliseconds warn_interval{10'000};
};

// A thread that accepts from the constructor to the destructor. A connection beyond the limits, and one for which there
// is no descriptor left, is closed at once, so that whoever waits in line learns it; no failure ends the accepting.
class Acceptor {
 public:
  Acceptor(ListeningSockets sockets, AcceptorOptions options);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // A connection from this address and port of this machine is let in beside the limits, while it is expected.
  void Expect(const Address& from);
  void ExpectNoMore(const Address& from);

 private:
  using Time = std::chrono::steady_clock::time_point;

  void Work();
  void AcceptAll(int listening);
  bool AcceptOne(int listening);
  void Judge(int listening, int connection, const Address& from);
  bool DrainOne(int listening);
  void Refuse(const std::string& host, const std::string& why);
  void WarnWhenDue();
  bool IsExpected(const Address& from);

  const ListeningSockets sockets_;
  const AcceptorOptions options_;
  std::atomic<bool> ending_ = false;
  int wake_ = -1;   // an eventfd: the destructor's word; -1 where there is no descriptor for it, then it is looked for
  int spare_ = -1;  // closed for a moment when all descriptors are taken; the thread's own, as what follows
  ConnectionTable table_;
  Time next_sweep_{};
  int64_t refused_ = 0;  // since the last warning
  std::string last_refusal_;
  Time next_warning_{};

  std::mutex mutex_;  // guards the one below
  std::set<std::string> expected_;
  std::thread thread_;
};

}  // namespace diptych
