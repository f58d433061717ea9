#include "render_node/jobs/scheduler.h"

#include <algorithm>
#include <iterator>

namespace diptych {

void FairScheduler::Add(const QueuedJob& job) {
  if (place_of_job_.contains(job.id)) return;
  auto [client, is_new] = turn_of_client_.try_emplace(job.client);
  if (is_new) client->second = round_.insert(round_.end(), Turn{job.client, {}, {}});
  Turn& turn = *client->second;
  place_of_job_.emplace(job.id, Place{client->second, turn.jobs.insert(job).first});
  if (job.stored) turn.stored.insert(job);
}

std::optional<QueuedJob> FairScheduler::Take(bool stored_only, const ClientChoice& of_client) {
  for (auto turn = round_.begin(); turn != round_.end(); ++turn) {
    const Jobs& jobs = stored_only ? turn->stored : turn->jobs;
    if (jobs.empty() || !MayBegin(turn->client) || (of_client && !of_client(turn->client))) continue;
    const QueuedJob job = *jobs.begin();
    round_.splice(round_.end(), round_, turn);  // iterators stay valid
    Remove(job.id);
    ++in_work_[job.client];
    return job;
  }
  return std::nullopt;
}

void FairScheduler::Finished(const std::string& client) {
  const auto found = in_work_.find(client);
  if (found != in_work_.end() && --found->second == 0) in_work_.erase(found);
}

void FairScheduler::MarkStored(const std::string& id) {
  const auto place = place_of_job_.find(id);
  if (place == place_of_job_.end() || place->second.job->stored) return;
  Turn& turn = *place->second.turn;
  QueuedJob job = *place->second.job;
  job.stored = true;
  turn.jobs.erase(place->second.job);
  place->second.job = turn.jobs.insert(job).first;
  turn.stored.insert(job);
}

bool FairScheduler::Remove(const std::string& id) {
  const auto place = place_of_job_.find(id);
  if (place == place_of_job_.end()) return false;
  const Round::iterator turn = place->second.turn;
  turn->stored.erase(*place->second.job);
  turn->jobs.erase(place->second.job);
  if (turn->jobs.empty()) {
    turn_of_client_.erase(turn->client);
    round_.erase(turn);
  }
  place_of_job_.erase(place);
  return true;
}

const QueuedJob* FairScheduler::Find(const std::string& id) const {
  const auto place = place_of_job_.find(id);
  return place == place_of_job_.end() ? nullptr : &*place->second.job;
}

Scheduler::Sooner FairScheduler::Ahead(const std::string& id) const {
  const auto place = place_of_job_.find(id);
  if (place == place_of_job_.end()) return {};
  const Round::const_iterator own = place->second.turn;
  const int64_t own_before = std::distance<Jobs::const_iterator>(own->jobs.begin(), place->second.job);
  // Each other client gets one job a round before ours is reached: own_before rounds, and one more if its turn is
  // earlier.
  Sooner ahead;
  const auto count = [&](const Jobs& jobs, int64_t most) {
    for (auto job = jobs.begin(); job != jobs.end() && most > 0; ++job, --most) {
      ++ahead.jobs;
      ahead.work += job->work;
      if (!job->stored) ahead.encode_work += job->encode_work;
      if (&jobs != &own->jobs) ++ahead.others;
    }
  };
  count(own->jobs, own_before);
  bool earlier = true;
  for (auto turn = round_.begin(); turn != round_.end(); ++turn) {
    if (turn == own) {
      earlier = false;
      continue;
    }
    count(turn->jobs, own_before + (earlier ? 1 : 0));
  }
  return ahead;
}

int64_t FairScheduler::waiting_of(const std::string& client) const {
  const auto turn = turn_of_client_.find(client);
  return turn == turn_of_client_.end() ? 0 : static_cast<int64_t>(turn->second->jobs.size());
}

std::vector<int64_t> FairScheduler::waiting_per_client() const {
  std::vector<int64_t> waiting;
  waiting.reserve(round_.size());
  for (const Turn& turn : round_) waiting.push_back(static_cast<int64_t>(turn.jobs.size()));
  return waiting;
}

std::vector<std::string> FairScheduler::NotStored() const {
  std::vector<std::string> ids;
  for (const Turn& turn : round_) {
    for (const QueuedJob& job : turn.jobs) {
      if (!job.stored) ids.push_back(job.id);
    }
  }
  return ids;
}

bool FairScheduler::MayBegin(const std::string& client) const {
  if (in_work_limit_ == 0) return true;
  const auto found = in_work_.find(client);
  return found == in_work_.end() || found->second < in_work_limit_;
}

}  // namespace diptych
