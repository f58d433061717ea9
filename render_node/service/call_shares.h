// How many calls of one kind are under way, in all and of each host: those that take work for their answer.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace diptych {

// Thread-safe; must outlive the places that it gave.
class CallShares {
 public:
  struct Limits {
    int64_t in_all = 16;
    int64_t per_host = 8;
  };

  CallShares() = default;
  explicit CallShares(Limits limits) : limits_(limits) {}

  // Held by a call for as long as it works.
  class Place {
   public:
    Place(CallShares& shares, std::string host) : shares_(&shares), host_(std::move(host)) {}
    Place(Place&& other) noexcept : shares_(std::exchange(other.shares_, nullptr)), host_(std::move(other.host_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (shares_ != nullptr) shares_->GiveBack(host_);
    }

   private:
    CallShares* shares_;
    std::string host_;
  };

  // Nullopt: as many as may are under way.
  std::optional<Place> Take(const std::string& host) {
    const std::lock_guard lock(mutex_);
    const auto own = of_hosts_.find(host);
    if (all_ >= limits_.in_all || (own != of_hosts_.end() && own->second >= limits_.per_host)) return std::nullopt;
    ++all_;
    ++of_hosts_[host];
    return std::optional<Place>(std::in_place, *this, host);
  }

 private:
  void GiveBack(const std::string& host) {
    const std::lock_guard lock(mutex_);
    --all_;
    const auto own = of_hosts_.find(host);
    if (--own->second == 0) of_hosts_.erase(own);
  }

  const Limits limits_;
  std::mutex mutex_;
  int64_t all_ = 0;
  std::map<std::string, int64_t> of_hosts_;
};

}  // namespace diptych
