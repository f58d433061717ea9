// Calls that wait most of their lives, for their peers or for news: they have a thread only while there is something to
// do.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

#include "common/concurrency/alarm.h"
#include "common/net/call_pool.h"

namespace diptych {

class HeldCalls;

// A part of a reactor of gRPC (server_callback.h). The reactor's Finish is called from Work alone, by way of MarkEnded;
// its OnDone calls Leave, and nothing else of it is used after that. Thread-safe.
class HeldCall : public std::enable_shared_from_this<HeldCall> {
 public:
  using Clock = std::chrono::steady_clock;

  HeldCall(HeldCalls& all, const grpc::CallbackServerContext& context);
  virtual ~HeldCall() = default;
  HeldCall(const HeldCall&) = delete;
  HeldCall& operator=(const HeldCall&) = delete;

  // Work runs soon.
  void Wake();
  // The peer has gone.
  void Cancel();
  // Somebody else needs its place.
  void GiveWay();
  // Since when its peer owes it something, while it holds what others may need.
  std::optional<Clock::time_point> idle_since() const;

  const std::string& host() const { return host_; }

 protected:
  // On a thread of the pool, one at a time, and not after MarkEnded. Must not throw, nor wait for a peer.
  virtual void Work() = 0;
  // Likewise, when it is woken after MarkEnded and before Leave, or at the same time as that.
  virtual void LetGo() {}

  void WakeAt(Clock::time_point when);  // or a tenth of a second later
  void SetIdle(bool idle);
  void SetHeldBytes(int64_t bytes) { held_bytes_ = bytes; }
  void MarkEnded() { ended_ = true; }
  bool cancelled() const { return cancelled_; }
  bool gives_way() const { return gives_way_; }
  void Leave();

  HeldCalls& all_;

 private:
  friend class HeldCalls;
  void RunWork();

  const std::string peer_, host_;
  std::atomic<int> wakes_ = 0;
  std::atomic<Clock::rep> due_ = 0;         // 0: never
  std::atomic<Clock::rep> idle_since_ = 0;  // 0: it is not
  std::atomic<int64_t> held_bytes_ = 0;
  std::atomic<bool> cancelled_ = false, gives_way_ = false, ended_ = false;
};

struct HeldLimits {
  int64_t in_all = 2048;
  int64_t per_host = 512;
};

// All calls of one kind.
class HeldCalls {
 public:
  HeldCalls(CallPool& pool, HeldLimits limits);

  // False when there are as many as there may be, and none that has been idle for a while; that one gives way.
  bool Enter(const std::shared_ptr<HeldCall>& call);
  void Leave(HeldCall* call);
  // Of the calls, `but` this one, that have been idle for some time, the one that holds most bytes gives way.
  void EvictForBytes(const HeldCall* but);
  void WakeAll();

  CallPool& pool() { return pool_; }

 private:
  friend class HeldCall;
  bool EvictIdlestLocked(const std::string* host);
  void WakeDue();

  CallPool& pool_;
  const HeldLimits limits_;
  std::mutex mutex_;
  std::unordered_map<HeldCall*, std::shared_ptr<HeldCall>> calls_;
  std::unordered_map<std::string, int64_t> of_hosts_;  // no zeros
  Alarm clock_;                                        // set while a call wants to be woken; last: it uses the others
};

}  // namespace diptych
