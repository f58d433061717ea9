// A job store that keeps nothing: shows what the contract asks for, and that it does not ask for SQLite.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "render_node/jobs/job_filter.h"
#include "render_node/jobs/job_id.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/job_store.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {

struct MemoryDatabase {
  struct Row {
    Job job;
    JobSpec asked;  // whatever is kept of its prompts
    JobRows rows;
    std::string host;
    LeaseOwner owner;
    int64_t lease_until_ms = 0;

    bool IsUnderWay() const { return job.state != JobState::kQueued && !IsTerminal(job.state); }
  };

  std::mutex mutex;
  std::map<std::string, Row> jobs;
  std::optional<QueuePause> pause;
  JobIdGenerator ids{RepeatableChance()};
  JobChanges changes;
};

// A handle on it.
class MemoryJobStore final : public JobStore {
 public:
  explicit MemoryJobStore(MemoryDatabase& database) : database_(database) {}

  AcceptedJob Accept(const JobSpec& spec, const JobRows& rows, int64_t now, const std::string& host) override {
    const std::lock_guard lock(database_.mutex);
    if (const auto known = FindKey(spec, rows)) return {*known, false};
    const std::string id = database_.ids.Next(now);
    MemoryDatabase::Row& row = database_.jobs[id];
    row.asked = spec;
    row.rows = rows;
    row.host = host;
    row.job.id = id;
    row.job.spec = spec;
    row.job.accepted_unix_ms = now;
    row.job.deadline_unix_ms = spec.timeout_ms > 0 ? now + spec.timeout_ms : 0;
    row.job.sequence = now * 1000;
    database_.changes.Tell(id);
    return {id, true};
  }
  std::optional<std::string> FindAccepted(const JobSpec& spec, const JobRows& rows) override {
    const std::lock_guard lock(database_.mutex);
    return FindKey(spec, rows);
  }
  std::optional<Job> Get(const std::string& id) override {
    const std::lock_guard lock(database_.mutex);
    const auto found = database_.jobs.find(id);
    return found == database_.jobs.end() ? std::nullopt : std::optional(found->second.job);
  }
  std::vector<Job> List(const JobFilter& filter) override {
    CheckFilter(filter);
    const std::lock_guard lock(database_.mutex);
    std::vector<Job> jobs;
    const size_t limit = static_cast<size_t>(filter.limit == 0 ? kDefaultListLimit : filter.limit);
    for (auto row = database_.jobs.rbegin(); row != database_.jobs.rend() && jobs.size() < limit; ++row) {
      const auto& [id, entry] = *row;
      const bool is_before = filter.before_id.empty() || id < filter.before_id;
      const bool is_of = filter.client.empty() || entry.asked.client == filter.client;
      const bool has_part = id.starts_with(filter.id_part) || id.ends_with(filter.id_part);
      const bool has_words = filter.text.empty() || HasWords(entry.job.spec, AsciiLowerCase(filter.text));
      if (!is_before || !is_of || !has_part || !has_words || !IsIn(entry.job, filter)) continue;
      Job& job = jobs.emplace_back(entry.job);
      job.prompts_shortened = ShortenPrompts(job.spec) || job.prompts_shortened;
    }
    return jobs;
  }
  std::vector<QueuedJob> Queued() override {
    const std::lock_guard lock(database_.mutex);
    std::vector<QueuedJob> jobs;
    for (const auto& [id, row] : database_.jobs) {
      if (row.job.state != JobState::kQueued) continue;
      jobs.push_back({.id = id,
                      .client = row.asked.client,
                      .priority = row.asked.priority,
                      .deadline_unix_ms = row.job.deadline_unix_ms,
                      .begun = row.job.attempt > 0,
                      .suspect = row.job.crashes.count > 0,
                      .stored = !row.rows.positive.empty(),
                      .work = WorkOf(row.asked),
                      .encode_work = EncodeWorkOf(row.asked),
                      .host = row.host,
                      .bytes = BytesOf(row.asked) + row.rows.bytes});
    }
    return jobs;
  }
  std::optional<Job> Claim(const std::string& id, const LeaseOwner& owner, int64_t now, int64_t lease_ms) override {
    const std::lock_guard lock(database_.mutex);
    const auto found = database_.jobs.find(id);
    if (found == database_.jobs.end() || found->second.job.state != JobState::kQueued) return std::nullopt;
    MemoryDatabase::Row& row = found->second;
    BeginAttempt(row.job, now);
    row.owner = owner;
    row.lease_until_ms = now + lease_ms;
    database_.changes.Tell(id);
    return row.job;
  }
  int64_t Renew(const LeaseOwner& owner, int64_t now, int64_t lease_ms) override {
    const std::lock_guard lock(database_.mutex);
    int64_t count = 0;
    for (auto& [id, row] : database_.jobs) {
      if (!row.IsUnderWay() || row.owner != owner) continue;
      row.lease_until_ms = now + lease_ms;
      ++count;
    }
    return count;
  }
  std::vector<Job> TakeOver(const LeaseOwner& owner, int64_t now, int64_t lease_ms) override {
    const std::lock_guard lock(database_.mutex);
    std::vector<Job> jobs;
    for (auto& [id, row] : database_.jobs) {
      const bool is_of_earlier_life = row.owner.name == owner.name && row.owner.life != owner.life;
      if (!row.IsUnderWay() || (row.lease_until_ms > now && !is_of_earlier_life)) continue;
      row.owner = owner;
      row.lease_until_ms = now + lease_ms;
      jobs.push_back(row.job);
      database_.changes.Tell(id);
    }
    return jobs;
  }
  JobRows Transition(const JobLease& lease, JobState from, JobState to, const JobProgress& progress) override {
    CheckTransition(lease.id, from, to);
    const std::lock_guard lock(database_.mutex);
    const auto found = database_.jobs.find(lease.id);
    if (found == database_.jobs.end()) throw Error(ErrorCode::kNotFound, "there is no job " + lease.id);
    MemoryDatabase::Row& row = found->second;
    if (row.job.state != from || lease.attempt.value_or(row.job.attempt) != row.job.attempt) {
      throw Error(ErrorCode::kFailedPrecondition, "job " + lease.id + " is " +
                                                      std::string(JobStateName(row.job.state)) + " in attempt " +
                                                      std::to_string(row.job.attempt));
    }
    Put(progress, row.job);
    row.job.state = to;
    if (!row.IsUnderWay()) row.owner = {};
    if (IsTerminal(to) && to != JobState::kDone) row.job.prompts_shortened = ShortenPrompts(row.job.spec);
    database_.changes.Tell(lease.id);
    return IsTerminal(to) ? row.rows : JobRows{};
  }
  void SaveProgress(const JobLease& lease, JobState state, const JobProgress& progress) override {
    const std::lock_guard lock(database_.mutex);
    const auto found = database_.jobs.find(lease.id);
    if (found == database_.jobs.end()) return;
    Job& job = found->second.job;
    if (job.state != state || lease.attempt.value_or(job.attempt) != job.attempt) return;
    job.step = progress.step;
    job.timings = progress.timings;
    job.fits = progress.fits;
    job.detail = progress.detail;
    job.sequence = progress.sequence;
  }
  std::vector<EndedJob> Ended() override {
    const std::lock_guard lock(database_.mutex);
    std::vector<EndedJob> jobs;
    for (const auto& [id, row] : database_.jobs) {
      if (!IsTerminal(row.job.state)) continue;
      jobs.push_back({id, row.job.finished_unix_ms, row.job.picture_bytes, row.host, BytesOf(row.job.spec)});
    }
    std::sort(jobs.begin(), jobs.end(), [](const EndedJob& a, const EndedJob& b) {
      return std::pair(a.finished_unix_ms, a.id) > std::pair(b.finished_unix_ms, b.id);
    });
    return jobs;
  }
  bool Delete(const std::string& id) override {
    const std::lock_guard lock(database_.mutex);
    const auto found = database_.jobs.find(id);
    if (found == database_.jobs.end()) return false;
    if (!IsTerminal(found->second.job.state)) throw Error(ErrorCode::kFailedPrecondition, "job " + id + " goes on");
    database_.jobs.erase(found);
    database_.changes.Tell(id);
    return true;
  }
  std::vector<std::string> Unreferenced(const std::vector<std::string>& names) override {
    const std::lock_guard lock(database_.mutex);
    std::vector<std::string> rest = names;
    std::erase_if(rest, [&](const std::string& name) {
      return !name.empty() && std::any_of(database_.jobs.begin(), database_.jobs.end(), [&](const auto& entry) {
        const MemoryDatabase::Row& row = entry.second;
        if (row.job.picture == name) return true;
        if (IsTerminal(row.job.state)) return false;
        const auto inputs = InputsOf(row.asked);
        return row.rows.positive == name || row.rows.negative == name ||
               std::any_of(inputs.begin(), inputs.end(), [&](const auto& input) { return input.second.hex == name; });
      });
    });
    return rest;
  }
  JobRows Rows(const std::string& id) override {
    const std::lock_guard lock(database_.mutex);
    const auto found = database_.jobs.find(id);
    if (found == database_.jobs.end()) throw Error(ErrorCode::kNotFound, "there is no job " + id);
    return found->second.rows;
  }
  std::optional<QueuePause> LoadPause() override {
    const std::lock_guard lock(database_.mutex);
    return database_.pause;
  }
  void SavePause(const std::optional<QueuePause>& pause) override {
    const std::lock_guard lock(database_.mutex);
    database_.pause = pause;
    database_.changes.Tell("");
  }
  void Sync() override {}
  JobChanges& changes() override { return database_.changes; }

 private:
  static int64_t BytesOf(const JobSpec& spec) { return static_cast<int64_t>(SpecToJson(spec).size()); }
  static void Put(const JobProgress& progress, Job& job) {
    job.step = progress.step;
    job.timings = progress.timings;
    job.fits = progress.fits;
    job.error = progress.error;
    job.error_code = progress.error_code;
    job.detail = progress.detail;
    job.finished_unix_ms = progress.finished_unix_ms;
    job.picture = progress.picture;
    job.picture_bytes = progress.picture_bytes;
    job.crashes = progress.crashes;
    job.sequence = progress.sequence;
  }
  std::optional<std::string> FindKey(const JobSpec& spec, const JobRows& rows) const {
    if (spec.idempotency_key.empty()) return std::nullopt;
    for (const auto& [id, row] : database_.jobs) {
      if (row.asked.client != spec.client || row.asked.idempotency_key != spec.idempotency_key) continue;
      if (row.asked == spec && row.rows.positive == rows.positive && row.rows.negative == rows.negative) return id;
      throw Error(ErrorCode::kFailedPrecondition, "the key was used for job " + id);
    }
    return std::nullopt;
  }

  MemoryDatabase& database_;
};

}  // namespace diptych
