#include "render_node/jobs/scheduler.h"

#include <algorithm>
#include <iterator>

namespace diptych {
namespace {

void Count(const QueuedJob& job, bool is_others, Scheduler::Sooner& ahead) {
  ++ahead.jobs;
  ahead.work += job.work;
  if (!job.stored) ahead.encode_work += job.encode_work;
  if (is_others) ++ahead.others;
}

// A counter of `counts` that is gone at 0.
void CountDown(std::map<std::string, int64_t>& counts, const std::string& name) {
  const auto found = counts.find(name);
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

}  // namespace

void ClientRound::Add(const QueuedJob& job) {
  auto [client, is_new] = turn_of_client_.try_emplace(job.client);
  if (is_new) client->second = round_.insert(round_.end(), Turn{job.client, {}, {}});
  Turn& turn = *client->second;
  place_of_job_.emplace(job.id, Place{client->second, turn.jobs.insert(job).first});
  if (job.stored) turn.stored.insert(job);
}

std::optional<QueuedJob> ClientRound::Take(bool stored_only, const Scheduler::ClientChoice& of_client) {
  for (auto turn = round_.begin(); turn != round_.end(); ++turn) {
    const Jobs& jobs = stored_only ? turn->stored : turn->jobs;
    if (jobs.empty() || !of_client(turn->client)) continue;
    const QueuedJob job = *jobs.begin();
    round_.splice(round_.end(), round_, turn);  // iterators stay valid
    Remove(job.id);
    return job;
  }
  return std::nullopt;
}

void ClientRound::MarkStored(const std::string& id) {
  const auto place = place_of_job_.find(id);
  if (place == place_of_job_.end() || place->second.job->stored) return;
  Turn& turn = *place->second.turn;
  QueuedJob job = *place->second.job;
  job.stored = true;
  turn.jobs.erase(place->second.job);
  place->second.job = turn.jobs.insert(job).first;
  turn.stored.insert(job);
}

void ClientRound::Remove(const std::string& id) {
  const auto place = place_of_job_.find(id);
  const Round::iterator turn = place->second.turn;
  turn->stored.erase(*place->second.job);
  turn->jobs.erase(place->second.job);
  if (turn->jobs.empty()) {
    turn_of_client_.erase(turn->client);
    round_.erase(turn);
  }
  place_of_job_.erase(place);
}

const QueuedJob* ClientRound::Find(const std::string& id) const {
  const auto place = place_of_job_.find(id);
  return place == place_of_job_.end() ? nullptr : &*place->second.job;
}

Scheduler::Sooner ClientRound::Ahead(const std::string& id) const {
  const Place& place = place_of_job_.at(id);
  const Round::const_iterator own = place.turn;
  const int64_t own_before = std::distance<Jobs::const_iterator>(own->jobs.begin(), place.job);
  // Each other client gets one job a round before ours is reached: own_before rounds, and one more if its turn is
  // earlier.
  Scheduler::Sooner ahead;
  const auto count = [&](const Jobs& jobs, int64_t most) {
    for (auto job = jobs.begin(); job != jobs.end() && most > 0; ++job, --most) Count(*job, &jobs != &own->jobs, ahead);
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

Scheduler::Sooner ClientRound::First(int64_t most) const {
  Scheduler::Sooner first;
  std::vector<std::pair<Jobs::const_iterator, Jobs::const_iterator>> left;  // of each client, in the round's order
  for (const Turn& turn : round_) left.emplace_back(turn.jobs.begin(), turn.jobs.end());
  while (!left.empty() && first.jobs < most) {
    for (auto& [job, end] : left) {
      if (first.jobs == most) break;
      Count(*job++, true, first);
    }
    std::erase_if(left, [](const auto& jobs) { return jobs.first == jobs.second; });
  }
  return first;
}

void ClientRound::NotStored(std::vector<std::string>& ids) const {
  for (const Turn& turn : round_) {
    for (const QueuedJob& job : turn.jobs) {
      if (!job.stored) ids.push_back(job.id);
    }
  }
}

void FairScheduler::Add(const QueuedJob& job) {
  if (host_of_job_.contains(job.id)) return;
  auto [host, is_new] = host_of_name_.try_emplace(job.host);
  if (is_new) host->second = hosts_.emplace(hosts_.end(), job.host);
  host->second->clients.Add(job);
  host_of_job_.emplace(job.id, host->second);
  ++waiting_[job.client];
}

std::optional<QueuedJob> FairScheduler::Take(bool stored_only, const ClientChoice& of_client) {
  const auto may_begin = [&](const std::string& client) {
    return MayBegin(client) && (!of_client || of_client(client));
  };
  for (auto host = hosts_.begin(); host != hosts_.end(); ++host) {
    std::optional<QueuedJob> job = host->clients.Take(stored_only, may_begin);
    if (!job) continue;
    hosts_.splice(hosts_.end(), hosts_, host);  // iterators stay valid
    Forget(host, *job);
    ++in_work_[job->client];
    return job;
  }
  return std::nullopt;
}

void FairScheduler::Finished(const std::string& client) { CountDown(in_work_, client); }

void FairScheduler::MarkStored(const std::string& id) {
  const auto host = host_of_job_.find(id);
  if (host != host_of_job_.end()) host->second->clients.MarkStored(id);
}

bool FairScheduler::Remove(const std::string& id) {
  const auto found = host_of_job_.find(id);
  if (found == host_of_job_.end()) return false;
  const Hosts::iterator host = found->second;
  const QueuedJob job = *host->clients.Find(id);
  host->clients.Remove(id);
  Forget(host, job);
  return true;
}

void FairScheduler::Forget(Hosts::iterator host, const QueuedJob& job) {
  host_of_job_.erase(job.id);
  CountDown(waiting_, job.client);
  if (host->clients.size() > 0) return;
  host_of_name_.erase(host->name);
  hosts_.erase(host);
}

const QueuedJob* FairScheduler::Find(const std::string& id) const {
  const auto host = host_of_job_.find(id);
  return host == host_of_job_.end() ? nullptr : host->second->clients.Find(id);
}

Scheduler::Sooner FairScheduler::Ahead(const std::string& id) const {
  const auto found = host_of_job_.find(id);
  if (found == host_of_job_.end()) return {};
  const Hosts::const_iterator own = found->second;
  Sooner ahead = own->clients.Ahead(id);
  // As with the clients of one host: every other host gets one job for each that ours gets before this one.
  const int64_t own_before = ahead.jobs;
  bool earlier = true;
  for (auto host = hosts_.begin(); host != hosts_.end(); ++host) {
    if (host == own) {
      earlier = false;
      continue;
    }
    const Sooner first = host->clients.First(own_before + (earlier ? 1 : 0));
    ahead.jobs += first.jobs;
    ahead.others += first.others;
    ahead.work += first.work;
    ahead.encode_work += first.encode_work;
  }
  return ahead;
}

int64_t FairScheduler::waiting_of(const std::string& client) const {
  const auto found = waiting_.find(client);
  return found == waiting_.end() ? 0 : found->second;
}

std::vector<int64_t> FairScheduler::waiting_per_client() const {
  std::vector<int64_t> waiting;
  waiting.reserve(waiting_.size());
  for (const auto& [client, jobs] : waiting_) waiting.push_back(jobs);
  return waiting;
}

std::vector<std::string> FairScheduler::NotStored() const {
  std::vector<std::string> ids;
  for (const Host& host : hosts_) host.clients.NotStored(ids);
  return ids;
}

bool FairScheduler::MayBegin(const std::string& client) const {
  if (in_work_limit_ == 0) return true;
  const auto found = in_work_.find(client);
  return found == in_work_.end() || found->second < in_work_limit_;
}

}  // namespace diptych
