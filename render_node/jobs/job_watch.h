// How the changes of a job reach those who watch it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "render_node/jobs/job.h"

namespace diptych {

// The latest state of one job, shared by all its watchers. Publishing never waits for a watcher: who is slow sees the
// latest state and misses those between. Thread-safe.
class JobFeed {
 public:
  // Ignored after a terminal state or End().
  void Publish(const Job& job);
  // As Publish, but only when nothing was published yet: a state read from the store must not replace a newer one.
  void Offer(const Job& job);
  // Nothing more comes. A terminal state ends the feed by itself.
  void End();
  bool ended() const;

 private:
  friend class JobWatch;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Job latest_;
  int64_t version_ = 0;  // how often latest_ was set
  bool ended_ = false;
};

// One watcher's view. For one thread at a time; may outlive the queue it came from.
class JobWatch {
 public:
  explicit JobWatch(std::shared_ptr<JobFeed> feed) : feed_(std::move(feed)) {}

  enum class Outcome {
    kJob,         // *job is newer than the one before; the first call gives the present state
    kNothingNew,  // for as long as the caller had patience
    kEnded,       // the terminal state was given before, or the daemon is stopping
  };
  Outcome Next(std::chrono::milliseconds patience, Job* job);

 private:
  const std::shared_ptr<JobFeed> feed_;
  int64_t seen_ = 0;
};

}  // namespace diptych
