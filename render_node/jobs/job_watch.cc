#include "render_node/jobs/job_watch.h"

#include <utility>

namespace diptych {

void JobFeed::Publish(const Job& job) {
  {
    const std::lock_guard lock(mutex_);
    // A state that ends the job may come with a smaller number than a report that was on its way, and after End: the
    // worker is through with the job while a new watcher is still reading how it ended.
    if (IsTerminal(latest_.state)) return;
    if (!IsTerminal(job.state) && (ended_ || job.sequence <= latest_.sequence)) return;
    latest_ = job;
    ended_ = ended_ || IsTerminal(job.state);
    TellLocked();
  }
  changed_.notify_all();
}

void JobFeed::Publish(JobPreview preview) {
  auto shared = std::make_shared<const JobPreview>(std::move(preview));
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    preview_ = std::move(shared);
    TellLocked();
  }
  changed_.notify_all();
}

void JobFeed::End() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    TellLocked();
  }
  changed_.notify_all();
}

void JobFeed::TellLocked() {
  for (const auto& [watch, news] : listeners_) news();
}

bool JobFeed::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

bool JobFeed::wants_previews() const {
  const std::lock_guard lock(mutex_);
  return preview_watchers_ > 0;
}

JobWatch::JobWatch(std::shared_ptr<JobFeed> feed, const JobWatchOptions& options)
    : feed_(std::move(feed)),
      previews_(options.previews),
      seen_(options.after_sequence),
      seen_preview_(options.after_sequence) {
  const std::lock_guard lock(feed_->mutex_);
  if (previews_) ++feed_->preview_watchers_;
  if (options.news) feed_->listeners_.emplace(this, options.news);
}

JobWatch::~JobWatch() {
  const std::lock_guard lock(feed_->mutex_);
  if (previews_) --feed_->preview_watchers_;
  feed_->listeners_.erase(this);
}

Job JobWatch::Latest() const {
  const std::lock_guard lock(feed_->mutex_);
  return feed_->latest_;
}

JobWatch::Outcome JobWatch::Next(std::chrono::milliseconds patience, Job* job) {
  std::unique_lock lock(feed_->mutex_);
  // A number that is not the latest is an older one, or one of a daemon whose clock was ahead: either way the watcher
  // has not seen this state.
  const auto new_job = [this] { return feed_->latest_.sequence != 0 && feed_->latest_.sequence != seen_; };
  const auto new_preview = [this] {
    return previews_ && feed_->preview_ != nullptr && feed_->preview_->sequence > seen_preview_;
  };
  feed_->changed_.wait_for(lock, patience, [&] { return new_job() || new_preview() || feed_->ended_; });
  // The preview of a step comes before the state that says that the step is done; after the end nobody needs one.
  if (new_preview() && !feed_->ended_) {
    preview_ = feed_->preview_;
    seen_preview_ = preview_->sequence;
    return Outcome::kPreview;
  }
  if (new_job()) {
    *job = feed_->latest_;
    seen_ = job->sequence;
    return Outcome::kJob;
  }
  return feed_->ended_ ? Outcome::kEnded : Outcome::kNothingNew;
}

std::shared_ptr<JobFeed> JobFeeds::Of(const std::string& id) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<JobFeed>& kept = feeds_[id];
  std::shared_ptr<JobFeed> feed = kept.lock();
  if (feed == nullptr) kept = feed = std::make_shared<JobFeed>();
  return feed;
}

void JobFeeds::Publish(const Job& job) {
  if (const auto feed = Find(job.id)) feed->Publish(job);
  DropIfOver(job.id);
}

void JobFeeds::Publish(const std::string& id, JobPreview preview) {
  if (const auto feed = Find(id)) feed->Publish(std::move(preview));
}

bool JobFeeds::WantsPreviews(const std::string& id) const {
  const auto feed = Find(id);
  return feed != nullptr && feed->wants_previews();
}

void JobFeeds::End(const std::string& id) {
  if (const auto feed = Find(id)) feed->End();
  DropIfOver(id);
}

void JobFeeds::EndAll() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, weak] : feeds_) {
    if (const auto feed = weak.lock()) feed->End();
  }
}

void JobFeeds::DropIfOver(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = feeds_.find(id);
  if (found == feeds_.end()) return;
  const std::shared_ptr<JobFeed> feed = found->second.lock();
  if (feed == nullptr || feed->ended()) feeds_.erase(found);
}

std::shared_ptr<JobFeed> JobFeeds::Find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = feeds_.find(id);
  return found == feeds_.end() ? nullptr : found->second.lock();
}

}  // namespace diptych
