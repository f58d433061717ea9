// Stands between the network and gRPC: what a peer sends reaches the library only as far as the limits allow.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/net/traffic_judge.h"

namespace diptych {

struct GateOptions {
  TrafficLimits traffic;
  int64_t unfinished_bytes = 64 << 20;      // of messages that have begun, of all connections together
  std::chrono::seconds preface_within{20};  // whoever connects and says nothing is let go
  std::chrono::seconds unread_for{30};      // whoever does not read what it is answered, too
  // Takes the inner end of a connection; its peer's name is that of PeerName. On the gate's thread.
  std::function<void(int listening, int inner)> serve;
};

// gRPC 1.51 has no answer to streams that are opened and reset by the ten thousand, to header values that never end, to
// messages of which all but the last byte come. The gate reads the heads of the frames and passes the bytes on as they
// are, through a pair of sockets; who is too fast is read more slowly, and what no client does ends its connection. A
// connection that is not HTTP/2 never reaches gRPC. One thread for all connections, from the constructor to the
// destructor.
class Gate {
 public:
  explicit Gate(GateOptions options);
  ~Gate();  // what was answered goes out first, for at most half a second
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Takes the descriptor of an accepted connection, which does not block. Thread-safe.
  void Admit(int listening, int connection);

 private:
  using Clock = std::chrono::steady_clock;
  struct Host;
  struct Connection;
  struct Arrival {
    int listening = -1;
    int fd = -1;
    std::string host;
  };

  void Work();
  void TakeArrivals();
  void Begin(const Arrival& arrival);
  // All that can be done now for the connection; false: it has ended.
  bool Pump(Connection& connection);
  bool PumpIn(Connection& connection, bool* moved);
  bool ReadAndJudge(Connection& connection, Clock::time_point now, bool* moved);
  bool PumpOut(Connection& connection, bool* moved);
  bool Serve(Connection& connection);
  void Watch(Connection& connection);
  void WatchFd(uint64_t tag, int fd, uint32_t wanted, uint32_t* watched);
  void WakeWaiting(Clock::time_point now);
  void Sweep(Clock::time_point now);
  void EndGreediest();
  void End(uint64_t id);
  int MillisecondsToNext(Clock::time_point now) const;

  const GateOptions options_;
  int wake_ = -1;
  int epoll_ = -1;
  // The thread's own.
  int64_t streams_ = 0;  // open now
  std::unordered_map<std::string, std::unique_ptr<Host>> hosts_;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::set<uint64_t> waiting_;
  uint64_t last_id_ = 0;
  int64_t unfinished_bytes_ = 0;
  Clock::time_point next_sweep_{};
  std::vector<char> scratch_;

  std::mutex mutex_;  // guards the two below
  std::vector<Arrival> arrivals_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace diptych
