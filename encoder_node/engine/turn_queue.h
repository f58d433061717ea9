// One works at a time: two encodes at once would share the same cores and both be late. Askers take turns, and who has
// long work lets others in between two pieces of it. The line has an end: who would make it too long is told to come
// again.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/concurrency/cancel_token.h"

namespace diptych {

// Who wants a prompt encoded. Hosts take turns; at one host connections do, and of one connection the names. A name is
// whatever the asker likes, so it divides nothing but what its own connection gets.
struct Asker {
  std::string host;
  std::string connection;  // of the host
  std::string name;        // may be empty
  size_t bytes = 0;        // that its prompt holds here
};

// What may be in line and in work together.
struct LineLimits {
  size_t prompts = 64;
  size_t prompts_per_host = 32;
  size_t bytes = size_t{16} << 20;
  size_t bytes_per_host = size_t{8} << 20;
};

// At every level the one that has worked least is next, a name's own prompts in the order of arrival; one that comes
// anew counts as having worked as long as the least of those who are here. So a prompt waits for about a slice of each
// other asker, however long theirs are, and theirs go on after as long. Thread-safe. Must outlive its turns.
//
// When the line is full, the last prompt of whoever has most in it makes room for one who has less; the place of a
// prompt that was begun is never taken.
class TurnQueue {
 public:
  static constexpr std::chrono::milliseconds kSlice{100};
  static constexpr std::chrono::milliseconds kTell{1000};
  // Works that are begun and let others in keep what they have computed, in memory; with so many of one connection, or
  // in all, nobody begins anew. Short prompts keep little and are soon done: they are counted apart.
  static constexpr size_t kMostBegun = 8, kMostBegunOfOne = 4;
  static constexpr size_t kMostBegunBytes = 96 << 10;  // of prompts, unless it is one alone
  static constexpr size_t kShortBytes = 4096;

  explicit TurnQueue(LineLimits limits = {}, std::chrono::milliseconds slice = kSlice)
      : limits_(limits), slice_ms_(static_cast<double>(slice.count())) {}

 private:
  struct Entry;

 public:
  // A place in the line, and then in work; its end lets the next one in. Used by one thread.
  class Turn {
   public:
    ~Turn() {
      if (queue_ != nullptr) queue_->Leave(entry_);
    }
    Turn(Turn&& other) noexcept : queue_(other.queue_), entry_(other.entry_), waited_ms_(other.waited_ms_) {
      other.queue_ = nullptr;
    }
    Turn& operator=(Turn&&) = delete;

    // Told about once a second while it waits: how many prompts probably have their turn before. Must not block.
    using Tell = std::function<void(int32_t ahead)>;

    // Blocks until it is its turn. Throws Error(kCancelled) as soon as `cancel` is cancelled, and LineIsFull when its
    // place was given to somebody who has less.
    void Wait(const CancelToken& cancel, const Tell& tell = {});

    // Between two pieces of the work: when somebody else waits who has had less by a slice, blocks until it is the
    // holder's turn again. Throws as Wait; the turn is over then, and the work must end.
    void LetOthersIn(const CancelToken& cancel, const Tell& tell = {});

    // Before the work and in the middle of it.
    double waited_ms() const { return waited_ms_; }

   private:
    friend class TurnQueue;
    Turn(TurnQueue* queue, Entry* entry) : queue_(queue), entry_(entry) {}

    TurnQueue* queue_;
    Entry* entry_;
    double waited_ms_ = 0;
  };

  // Takes a place at the end of the asker's own prompts. Throws LineIsFull.
  Turn Enter(const Asker& asker);

  // Somebody may ask again in a moment.
  class LineIsFull : public Error {
   public:
    using Error::Error;
    static constexpr std::chrono::milliseconds kRetryAfter{500};
  };

 private:
  using Clock = std::chrono::steady_clock;

  // Hosts, their connections, and the names of these.
  struct Group {
    double worked_ms = 0;
    size_t prompts = 0, bytes = 0;
    std::map<std::string, std::unique_ptr<Group>> groups;  // empty: a name's
    std::list<Entry*> line;                                // a name's own; only the front one is begun
  };
  struct Entry {
    std::array<std::string, 3> path;  // host, connection, name
    std::array<Group*, 3> groups{};
    size_t bytes = 0;
    uint64_t number = 0;  // of arrival
    bool begun = false;
    bool put_out = false;
    std::condition_variable_any moved;  // its turn has come, or its place was taken
  };

  void Leave(Entry* entry);

  // Called with mutex_ held.
  double Await(std::unique_lock<std::mutex>& lock, Entry* entry, const CancelToken& cancel, const Turn::Tell& tell);
  void Choose();     // whose turn it is, when it is nobody's
  void CountWork();  // of the one whose turn it is
  void Remove(Entry* entry);
  bool MakeRoom(const Asker& asker);
  bool CanWork(const Entry& entry) const;
  Entry* Next(Group& group) const;
  Entry* LastOf(Group& group, bool by_bytes) const;
  bool SomebodyHasHadLess(const Entry& entry) const;
  int32_t Ahead(const Entry& entry) const;

  const LineLimits limits_;
  const double slice_ms_;
  std::mutex mutex_;  // guards all below
  uint64_t last_number_ = 0;
  Group all_;
  std::map<Entry*, std::unique_ptr<Entry>> entries_;
  Entry* working_ = nullptr;
  Clock::time_point since_;  // when its work was last counted
};

}  // namespace diptych
