// Stays with submitted jobs until they end, and ends them when the user interrupts.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "common/error/error.h"
#include "coordinator/cli/progress_view.h"
#include "coordinator/client/call_stop.h"
#include "coordinator/client/render_client.h"
#include "coordinator/interrupt.h"

namespace diptych {

// While it lives, an interrupt cancels the jobs that were added and not removed. When the renderer cannot be reached,
// or a cancelled job does not end within `patience`, stop() ends the Watch call.
class CancelOnInterrupt {
 public:
  CancelOnInterrupt(const RenderClient& client, Interrupt& interrupt, std::chrono::milliseconds patience,
                    Caller caller = {});
  ~CancelOnInterrupt();

  void Add(const std::string& id);  // cancelled at once when the interrupt has come already
  void Remove(const std::string& id);
  CallStop& stop() { return stop_; }

 private:
  void React();

  const RenderClient& client_;
  const std::chrono::milliseconds patience_;
  const Caller caller_;
  CallStop stop_;
  std::mutex mutex_;
  std::condition_variable removed_;
  bool interrupted_ = false;
  std::set<std::string> ids_;
  Interrupt::Reaction reaction_;  // last: it may run at once
};

// The renderer stayed away longer than we had patience. Its jobs go on all the same.
struct ConnectionLost : Error {
  using Error::Error;
};

struct FollowOptions {
  bool want_picture = false;
  std::chrono::milliseconds patience{30000};  // how long a lost connection is tried again, from its loss
  std::function<void()> check_nodes = [] {};  // throws when it is no use to try again
  std::filesystem::path preview = {};         // a file that every preview replaces; empty: none are asked for
  bool warn_shortened = false;                // of a prompt that lost rows, as soon as that is known
  bool is_new = false;                        // submitted just now; the steps of another that has ended are old news
};

// Returns when the job has ended. A lost connection is tried again: the job goes on without us.
// Throws Error: what Watch says, and what check_nodes throws; ConnectionLost when the renderer stays away.
WatchResult FollowJob(const RenderClient& client, const std::string& id, const FollowOptions& options,
                      ProgressView& view, const Interrupt& interrupt, CallStop* stop);

// A job that ended otherwise than done.
struct JobNotDone : Error {
  JobNotDone(ErrorCode code, const std::string& message, JobView ended) : Error(code, message), job(std::move(ended)) {}
  JobView job;
};

// Throws JobNotDone unless the job is done: its own reason with its own code, or that it was cancelled.
void ThrowUnlessDone(const JobView& job);

}  // namespace diptych
