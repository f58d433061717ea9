#include "render_node/jobs/retention.h"

#include <chrono>

namespace diptych {
namespace {

constexpr double kLargestStepMs = 3'600'000, kDistrustMs = 24 * 3'600'000;

// All files of `files` that no job refers to.
template <typename Files>
int64_t SweepFiles(JobStore& store, Files& files) {
  const std::chrono::minutes spared(kSparedMinutes);
  int64_t removed = 0;
  // One that somebody needs again since is as good as new.
  for (const std::string& name : store.Unreferenced(files.NamesOlderThan(spared))) {
    removed += files.RemoveOlderThan(name, spared) ? 1 : 0;
  }
  return removed;
}

}  // namespace

std::vector<std::string> Expired(const std::vector<EndedJob>& newest_first, const RetentionRules& rules,
                                 int64_t now_unix_ms) {
  std::vector<std::string> expired;
  int64_t jobs = 0, bytes = 0;
  for (const EndedJob& job : newest_first) {
    const bool too_old = rules.age_ms > 0 && now_unix_ms - job.finished_unix_ms > rules.age_ms;
    const bool too_many = rules.jobs > 0 && jobs + 1 > rules.jobs;
    const bool too_large = rules.picture_bytes > 0 && bytes + job.picture_bytes > rules.picture_bytes;
    if (too_old || too_many || too_large) {
      expired.push_back(job.id);
      // What is older than one that found no room goes too: "the newest that fit" is easier to foretell.
      if (too_large) bytes = rules.picture_bytes;
    } else {
      ++jobs;
      bytes += job.picture_bytes;
    }
  }
  return expired;
}

Swept Sweep(JobStore& store, PictureStore& pictures, ConditioningFiles& conditioning, const RetentionRules& rules,
            int64_t now_unix_ms, const std::function<bool()>& stopping) {
  Swept swept;
  if (rules.age_ms > 0 || rules.jobs > 0 || rules.picture_bytes > 0) {
    for (const std::string& id : Expired(store.Ended(), rules, now_unix_ms)) {
      if (stopping()) break;  // the next life goes on
      swept.jobs += store.Delete(id) ? 1 : 0;
    }
    if (swept.jobs > 0) store.Sync();
  }
  if (stopping()) return swept;
  swept.files = SweepFiles(store, pictures) + SweepFiles(store, conditioning);
  return swept;
}

ClockTrust::ClockTrust(int64_t unix_ms, double steady_ms)
    : offset_ms_(static_cast<double>(unix_ms) - steady_ms), trusted_from_ms_(steady_ms) {}

ClockTrust::Answer ClockTrust::Look(int64_t unix_ms, double steady_ms) {
  const double offset_ms = static_cast<double>(unix_ms) - steady_ms, jumped_ms = offset_ms - offset_ms_;
  offset_ms_ = offset_ms;
  Answer answer;
  if (jumped_ms > kLargestStepMs) {
    answer.jumped_ms = jumped_ms;
    trusted_from_ms_ = steady_ms + kDistrustMs;
  }
  answer.trusted = steady_ms >= trusted_from_ms_;
  return answer;
}

}  // namespace diptych
