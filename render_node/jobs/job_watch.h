// How the changes of a job reach those who watch it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "render_node/jobs/job.h"

namespace diptych {

// What the picture looks like after a step: a small JPEG.
struct JobPreview {
  int32_t step = 0;
  int64_t sequence = 0;  // as Job::sequence
  std::vector<uint8_t> jpeg;
};

class JobWatch;

// The latest state and preview of one job, shared by all its watchers. Publishing never waits for a watcher: who is
// slow sees the latest and misses those between. Thread-safe.
class JobFeed {
 public:
  // Ignored after a terminal state; unless it is one, also after End() and when the feed has a newer state
  // (Job::sequence) already: one read from the store may come late.
  void Publish(const Job& job);
  void Publish(JobPreview preview);
  // Nothing more comes. A terminal state ends the feed by itself.
  void End();
  bool ended() const;
  bool wants_previews() const;  // whether anybody does

 private:
  friend class JobWatch;

  void TellLocked();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Job latest_;  // sequence 0: none yet
  std::shared_ptr<const JobPreview> preview_;
  int preview_watchers_ = 0;
  std::map<const JobWatch*, std::function<void()>> listeners_;
  bool ended_ = false;
};

struct JobWatchOptions {
  int64_t after_sequence = 0;  // what the watcher has seen already of this job
  bool previews = false;
  // Something is new, or the feed has ended: Next with no patience finds it. On the thread that publishes, with the
  // feed locked: it must neither wait nor call the watch. May be empty.
  std::function<void()> news = {};
};

// One watcher's view. For one thread at a time; may outlive the queue it came from.
class JobWatch {
 public:
  JobWatch(std::shared_ptr<JobFeed> feed, const JobWatchOptions& options);
  ~JobWatch();
  JobWatch(const JobWatch&) = delete;
  JobWatch& operator=(const JobWatch&) = delete;

  enum class Outcome {
    kJob,         // *job is newer than the one before; the first call gives the present state, unless it was seen
    kPreview,     // preview() is newer than the one before
    kNothingNew,  // for as long as the caller had patience
    kEnded,       // the terminal state was given before or had been seen, or the daemon is stopping
  };
  Outcome Next(std::chrono::milliseconds patience, Job* job);
  const JobPreview& preview() const { return *preview_; }
  // The latest state once more; there has been one.
  Job Latest() const;

 private:
  const std::shared_ptr<JobFeed> feed_;
  const bool previews_;
  int64_t seen_;
  int64_t seen_preview_;
  std::shared_ptr<const JobPreview> preview_;
};

// The feeds of all jobs that are watched and have not ended. Thread-safe.
class JobFeeds {
 public:
  // Makes it when there is none.
  std::shared_ptr<JobFeed> Of(const std::string& id);
  void Publish(const Job& job);
  void Publish(const std::string& id, JobPreview preview);
  bool WantsPreviews(const std::string& id) const;
  void End(const std::string& id);
  void EndAll();
  // A feed that nobody holds or that has ended is not kept.
  void DropIfOver(const std::string& id);

 private:
  std::shared_ptr<JobFeed> Find(const std::string& id) const;

  mutable std::mutex mutex_;
  std::map<std::string, std::weak_ptr<JobFeed>> feeds_;
};

}  // namespace diptych
