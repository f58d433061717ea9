#include "render_node/jobs/retention.h"

#include <chrono>
#include <queue>
#include <string_view>
#include <unordered_map>

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
  std::unordered_map<std::string_view, std::vector<const EndedJob*>> hosts;  // the oldest last
  for (const EndedJob& job : newest_first) {
    if (rules.age_ms > 0 && now_unix_ms - job.finished_unix_ms > rules.age_ms) {
      expired.push_back(job.id);
    } else {
      hosts[job.host].push_back(&job);
    }
  }
  // What a job counts: one, or its bytes.
  const auto keep_within = [&](int64_t limit, const auto& count) {
    if (limit <= 0) return;
    struct Part {
      int64_t has = 0;
      std::vector<const EndedJob*>* jobs = nullptr;
      bool operator<(const Part& other) const { return has < other.has; }
    };
    std::priority_queue<Part> parts;  // the largest first
    int64_t all = 0;
    for (auto& [host, jobs] : hosts) {
      Part part{0, &jobs};
      for (const EndedJob* job : jobs) part.has += count(*job);
      all += part.has;
      if (!jobs.empty()) parts.push(part);
    }
    while (all > limit) {
      Part part = parts.top();
      parts.pop();
      const EndedJob& oldest = *part.jobs->back();
      part.jobs->pop_back();
      part.has -= count(oldest);
      all -= count(oldest);
      expired.push_back(oldest.id);
      if (!part.jobs->empty()) parts.push(part);
    }
  };
  keep_within(rules.jobs, [](const EndedJob&) { return int64_t{1}; });
  keep_within(rules.bytes, [](const EndedJob& job) { return job.picture_bytes + job.spec_bytes; });
  return expired;
}

Swept Sweep(JobStore& store, PictureStore& pictures, ConditioningFiles& conditioning, InputStore& inputs,
            const RetentionRules& rules, int64_t now_unix_ms, const std::function<bool()>& stopping) {
  Swept swept;
  if (rules.age_ms > 0 || rules.jobs > 0 || rules.bytes > 0) {
    for (const std::string& id : Expired(store.Ended(), rules, now_unix_ms)) {
      if (stopping()) break;  // the next life goes on
      swept.more = swept.jobs >= kForgottenInOneGo;
      if (swept.more) break;
      swept.jobs += store.Delete(id) ? 1 : 0;
    }
    if (swept.jobs > 0) store.Sync();
  }
  if (stopping()) return swept;
  swept.files = SweepFiles(store, pictures) + SweepFiles(store, conditioning) + SweepFiles(store, inputs);
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
