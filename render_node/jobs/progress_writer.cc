#include "render_node/jobs/progress_writer.h"

#include <exception>
#include <utility>

namespace diptych {

ProgressWriter::ProgressWriter(JobStore& store) : store_(store), thread_([this] { Work(); }) {}

ProgressWriter::~ProgressWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ProgressWriter::Save(const JobLease& lease, JobState state, JobProgress progress) {
  {
    const std::lock_guard lock(mutex_);
    const bool is_first = waiting_.insert_or_assign(lease.id, Report{lease, state, std::move(progress)}).second;
    if (is_first) turns_.push_back(lease.id);
  }
  changed_.notify_all();
}

void ProgressWriter::Forget(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (waiting_.erase(id) > 0) std::erase(turns_, id);
}

void ProgressWriter::Flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return turns_.empty() && !writing_; });
}

void ProgressWriter::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !turns_.empty(); });
    if (turns_.empty()) return;
    const auto next = waiting_.extract(turns_.front());
    turns_.pop_front();
    writing_ = true;
    lock.unlock();
    const Report& report = next.mapped();
    try {
      store_.SaveProgress(report.lease, report.state, report.progress);
    } catch (const std::exception&) {
      // Missed.
    }
    lock.lock();
    writing_ = false;
    changed_.notify_all();
  }
}

}  // namespace diptych
