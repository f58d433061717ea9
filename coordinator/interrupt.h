// Ctrl-C as a value that commands can look at and react to.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "common/concurrency/cancel_token.h"

namespace diptych {

// Set once, by the user, who may ask a second time and then waits no more. Thread-safe.
class Interrupt {
  // What happens at one of the two requests.
  struct Round {
    void Run();
    const CancelToken requested;
    std::mutex mutex;  // held while reactions run
    uint64_t next_key = 1;
    std::map<uint64_t, std::function<void()>> actions;
  };

 public:
  // While it lives, its action runs once when the interrupt comes, on the thread that requests it; at once when it has
  // come already. The destructor waits for an action that is running.
  class Reaction {
   public:
    Reaction(Interrupt& interrupt, std::function<void()> action) : Reaction(interrupt.first_, std::move(action)) {}
    ~Reaction();
    Reaction(const Reaction&) = delete;
    Reaction& operator=(const Reaction&) = delete;

   protected:
    Reaction(Round& round, std::function<void()> action);

   private:
    Round& round_;
    uint64_t key_ = 0;  // 0: has run already
  };

  // The same for the second request, after which the process ends without another destructor: for what must not stay
  // behind. The youngest runs first. Only short work.
  class LastReaction : public Reaction {
   public:
    LastReaction(Interrupt& interrupt, std::function<void()> action) : Reaction(interrupt.again_, std::move(action)) {}
  };

  bool requested() const { return first_.requested.IsCancelled(); }
  const CancelToken& token() const { return first_.requested; }  // cancelled by Request, before the reactions
  void Request() { first_.Run(); }       // the first call runs the reactions; later calls do nothing
  void RequestAgain() { again_.Run(); }  // likewise the last reactions; reactions to Request may still be running

  // Throws Error(kCancelled) once requested.
  void ThrowIfRequested() const;

 private:
  Round first_, again_;
};

}  // namespace diptych
