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

#include "common/net/allowance.h"
#include "common/net/peer_names.h"
#include "common/net/tls_server.h"
#include "common/net/traffic_judge.h"

namespace diptych {

struct GateOptions {
  TrafficLimits traffic;
  int64_t unfinished_bytes = 64 << 20;      // of messages that have begun, of all connections together
  std::chrono::seconds preface_within{20};  // whoever connects and says nothing is let go
  std::chrono::seconds unread_for{30};      // whoever does not read what it is answered, too
  TlsServer* tls = nullptr;                 // outlives the gate, whose thread uses it; null: plain text
  std::chrono::seconds handshake_within{10};
  std::chrono::seconds refresh_every{60};  // whether the files of TLS have changed
  PeerNames* names = nullptr;              // gets what certificates say; outlives the gate; null with plain text
  // What the operator should know of handshakes that failed and files that changed; of the former at most one line in
  // `warn_interval`. On the gate's thread.
  std::function<void(const std::string& text)> warn = {};
  std::chrono::milliseconds warn_interval{10'000};
  // Takes the inner end of a connection; its peer's name is that of PeerName. On the gate's thread.
  std::function<void(int listening, int inner)> serve;
};

// gRPC 1.51 has no answer to streams that are opened and reset by the ten thousand, to header values that never end, to
// messages of which all but the last byte come. The gate reads the heads of the frames and passes the bytes on as they
// are, through a pair of sockets; who is too fast is read more slowly, and what no client does ends its connection. A
// connection that is not HTTP/2 never reaches gRPC. With TLS the gate ends it, and all of this is about what the peer
// says inside; handshakes take at most 0.6 of the thread's time, those of one host 0.25, so that whoever is connected
// is served meanwhile. One thread for all connections, from the constructor to the destructor.
class Gate {
 public:
  explicit Gate(GateOptions options);
  ~Gate();  // what was answered goes out first, for at most half a second
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Takes the descriptor of an accepted connection, which does not block. `plain`: without TLS all the same, for a
  // connection of this process to itself. Thread-safe.
  void Admit(int listening, int connection, bool plain = false);

 private:
  using Clock = std::chrono::steady_clock;
  struct Host;
  struct Connection;
  struct Arrival {
    int listening = -1;
    int fd = -1;
    bool plain = false;
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
  // With TLS: whether it may be read now, by what its handshake and its small records cost. Sets `wait` when not.
  bool MayRead(Connection& connection, Clock::time_point now, Clock::time_point* wait);
  bool HasPlaceForHandshake(Connection& connection, Clock::time_point now);
  // What came from the peer, into `in`. False: it must go.
  bool Take(Connection& connection, std::string_view bytes);
  bool Unseal(Connection& connection, std::string_view bytes);
  void EndHandshake(Connection& connection);
  // What goes to the peer, into `out`.
  bool Answer(Connection& connection, std::string_view bytes);
  void NoteFailure(const Connection& connection);
  void WarnWhenDue(Clock::time_point now);
  void RefreshTls(Clock::time_point now);
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
  std::set<uint64_t> handshaking_;    // the oldest first
  std::vector<uint64_t> to_end_;      // at the end of this turn
  Allowance handshake_ms_{600, 100};  // of this thread
  Clock::time_point next_refresh_{};
  int64_t failed_handshakes_ = 0;  // since the last warning
  std::string last_failure_;
  Clock::time_point next_warning_{};

  std::mutex mutex_;  // guards the two below
  std::vector<Arrival> arrivals_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace diptych
