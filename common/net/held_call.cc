#include "common/net/held_call.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/net/peer.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBetweenLooks{100};  // who is due within it waits for the next one
constexpr milliseconds kIdleForAWhile{1000};

}  // namespace

HeldCall::HeldCall(HeldCalls& all, const grpc::CallbackServerContext& context)
    : all_(all), peer_(context.peer()), host_(HostOfPeer(peer_)) {}

void HeldCall::Wake() {
  if (wakes_.fetch_add(1) > 0) return;  // it is in line, or works and will look again
  all_.pool().Run(peer_, [self = shared_from_this()] { self->RunWork(); });
}

void HeldCall::RunWork() {
  for (int seen = wakes_;;) {
    if (!ended_) {
      Work();
    } else {
      LetGo();
    }
    if (wakes_.compare_exchange_strong(seen, 0)) return;
  }
}

void HeldCall::Cancel() {
  cancelled_ = true;
  Wake();
}

void HeldCall::GiveWay() {
  gives_way_ = true;
  Wake();
}

void HeldCall::WakeAt(Clock::time_point when) {
  due_ = when.time_since_epoch().count();
  all_.clock_.RingBy(when);
}

void HeldCall::SetIdle(bool idle) { idle_since_ = idle ? Clock::now().time_since_epoch().count() : 0; }

std::optional<HeldCall::Clock::time_point> HeldCall::idle_since() const {
  const Clock::rep since = idle_since_;
  if (since == 0 || gives_way_) return std::nullopt;
  return Clock::time_point(Clock::duration(since));
}

void HeldCall::Leave() { all_.Leave(this); }

HeldCalls::HeldCalls(CallPool& pool, HeldLimits limits) : pool_(pool), limits_(limits), clock_([this] { WakeDue(); }) {}

bool HeldCalls::Enter(const std::shared_ptr<HeldCall>& call) {
  const std::lock_guard lock(mutex_);
  const bool host_has_all = of_hosts_[call->host()] >= limits_.per_host;
  if (host_has_all || static_cast<int64_t>(calls_.size()) >= limits_.in_all) {
    if (!EvictIdlestLocked(host_has_all ? &call->host() : nullptr)) {
      if (of_hosts_[call->host()] == 0) of_hosts_.erase(call->host());
      return false;
    }
  }
  ++of_hosts_[call->host()];
  calls_.emplace(call.get(), call);
  return true;
}

void HeldCalls::Leave(HeldCall* call) {
  std::shared_ptr<HeldCall> last;  // its end comes after the lock's
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(call);
  if (found == calls_.end()) return;
  const auto of_host = of_hosts_.find(call->host());
  if (--of_host->second == 0) of_hosts_.erase(of_host);
  last = std::move(found->second);
  calls_.erase(found);
}

void HeldCalls::EvictForBytes(const HeldCall* but) {
  const std::lock_guard lock(mutex_);
  const auto long_ago = HeldCall::Clock::now() - kIdleForAWhile;
  HeldCall* largest = nullptr;
  for (const auto& [call, kept] : calls_) {
    const auto since = call->idle_since();
    if (call == but || !since || *since > long_ago) continue;
    if (call->held_bytes_ > (largest == nullptr ? 0 : largest->held_bytes_.load())) largest = call;
  }
  if (largest != nullptr) largest->GiveWay();
}

bool HeldCalls::EvictIdlestLocked(const std::string* host) {
  auto longest = HeldCall::Clock::now() - kIdleForAWhile;
  HeldCall* idlest = nullptr;
  for (const auto& [call, kept] : calls_) {
    if (host != nullptr && call->host() != *host) continue;
    const auto since = call->idle_since();
    if (!since || *since > longest) continue;
    longest = *since;
    idlest = call;
  }
  if (idlest != nullptr) idlest->GiveWay();
  return idlest != nullptr;
}

void HeldCalls::WakeDue() {
  using Time = HeldCall::Clock::time_point;
  const Time now = HeldCall::Clock::now();
  Time next = Time::max();
  std::vector<std::shared_ptr<HeldCall>> due;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [call, kept] : calls_) {
      HeldCall::Clock::rep at = call->due_;
      if (at == 0) continue;
      if (at > now.time_since_epoch().count()) {
        next = std::min(next, Time(HeldCall::Clock::duration(at)));
      } else if (call->due_.compare_exchange_strong(at, 0)) {  // else it has been set anew, and the clock with it
        due.push_back(kept);
      }
    }
  }
  if (next != Time::max()) clock_.RingBy(std::max(next, now + kBetweenLooks));
  for (const std::shared_ptr<HeldCall>& call : due) call->Wake();
}

void HeldCalls::WakeAll() {
  std::vector<std::shared_ptr<HeldCall>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [call, kept] : calls_) all.push_back(kept);
  }
  for (const std::shared_ptr<HeldCall>& call : all) call->Wake();
}

}  // namespace diptych
