// One works at a time: two encodes at once would share the same cores and both be late. Clients take turns, and who has
// long work lets others in between two pieces of it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <string>

#include "common/concurrency/cancel_token.h"

namespace diptych {

// The client that has worked least is next, its own prompts in the order of arrival; one that comes anew counts as
// having worked as long as the least of those who are here. So a prompt waits for about a slice of each other client,
// however long theirs are, and theirs go on after as long. Thread-safe. Must outlive its turns.
class TurnQueue {
 public:
  static constexpr std::chrono::milliseconds kSlice{100};
  // Works that are begun and let others in keep what they have computed, in memory; with so many nobody begins anew.
  static constexpr size_t kMostBegun = 8;

  explicit TurnQueue(std::chrono::milliseconds slice = kSlice) : slice_ms_(static_cast<double>(slice.count())) {}

  // Held while the holder works; its end lets the next one in. Used by one thread.
  class Turn {
   public:
    ~Turn() { queue_->Leave(ticket_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // Between two pieces of the work: when somebody of another client waits who has had less by a slice, blocks until
    // it is the holder's turn again. Throws as Wait; the turn is over then, and the work must end.
    void LetOthersIn(const CancelToken& cancel);

    // Before the work and in the middle of it.
    double waited_ms() const { return waited_ms_; }

   private:
    friend class TurnQueue;
    Turn(TurnQueue* queue, uint64_t ticket, double waited_ms) : queue_(queue), ticket_(ticket), waited_ms_(waited_ms) {}

    TurnQueue* const queue_;
    const uint64_t ticket_;
    double waited_ms_;
  };

  // Blocks until it is the caller's turn. Throws Error(kCancelled) within 20 ms of `cancel`, and gives up its place.
  Turn Wait(const std::string& client, const CancelToken& cancel);

 private:
  using Clock = std::chrono::steady_clock;
  struct Client {
    double worked_ms = 0;
    std::list<uint64_t> line;  // never empty; only the front one is begun
    bool begun = false;
  };
  using Clients = std::map<std::string, Client>;

  void Leave(uint64_t ticket);

  // Called with mutex_ held.
  double Await(std::unique_lock<std::mutex>& lock, uint64_t ticket, const CancelToken& cancel);
  void Choose();     // whose turn it is, when it is nobody's
  void CountWork();  // of the one whose turn it is
  void Remove(uint64_t ticket);

  const double slice_ms_;
  std::mutex mutex_;
  std::condition_variable moved_;
  uint64_t last_ticket_ = 0;
  std::map<uint64_t, Clients::iterator> client_of_;  // by ticket
  Clients clients_;                                  // those who work or wait
  uint64_t working_ = 0;                             // a ticket; 0: nobody
  Clock::time_point since_;                          // when its work was last counted
};

}  // namespace diptych
