#include "render_node/jobs/job_watch.h"

namespace diptych {

void JobFeed::Publish(const Job& job) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    latest_ = job;
    ++version_;
    ended_ = IsTerminal(job.state);
  }
  changed_.notify_all();
}

void JobFeed::Offer(const Job& job) {
  const std::lock_guard lock(mutex_);
  if (version_ > 0) return;
  latest_ = job;
  version_ = 1;
  ended_ = ended_ || IsTerminal(job.state);
  changed_.notify_all();
}

void JobFeed::End() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
}

bool JobFeed::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

JobWatch::Outcome JobWatch::Next(std::chrono::milliseconds patience, Job* job) {
  std::unique_lock lock(feed_->mutex_);
  feed_->changed_.wait_for(lock, patience, [this] { return feed_->version_ > seen_ || feed_->ended_; });
  if (feed_->version_ > seen_) {
    seen_ = feed_->version_;
    *job = feed_->latest_;
    return Outcome::kJob;
  }
  return feed_->ended_ ? Outcome::kEnded : Outcome::kNothingNew;
}

}  // namespace diptych
