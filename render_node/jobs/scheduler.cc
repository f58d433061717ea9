#include "render_node/jobs/scheduler.h"

#include <algorithm>
#include <iterator>

namespace diptych {

void FairScheduler::Add(const QueuedJob& job) {
  if (place_of_job_.contains(job.id)) return;
  auto [client, is_new] = turn_of_client_.try_emplace(job.client);
  if (is_new) client->second = round_.insert(round_.end(), Turn{job.client, {}});
  client->second->jobs.insert(job);
  place_of_job_.emplace(job.id, Place{client->second, job.priority});
}

std::optional<QueuedJob> FairScheduler::Take() {
  if (round_.empty()) return std::nullopt;
  const QueuedJob job = *round_.front().jobs.begin();
  round_.splice(round_.end(), round_, round_.begin());  // iterators stay valid
  Remove(job.id);
  return job;
}

bool FairScheduler::Remove(const std::string& id) {
  const auto place = place_of_job_.find(id);
  if (place == place_of_job_.end()) return false;
  const Round::iterator turn = place->second.turn;
  turn->jobs.erase({id, turn->client, place->second.priority});
  if (turn->jobs.empty()) {
    turn_of_client_.erase(turn->client);
    round_.erase(turn);
  }
  place_of_job_.erase(place);
  return true;
}

int64_t FairScheduler::Ahead(const std::string& id) const {
  const auto place = place_of_job_.find(id);
  if (place == place_of_job_.end()) return 0;
  const Round::const_iterator own = place->second.turn;
  const auto job = own->jobs.find({id, own->client, place->second.priority});
  const int64_t own_before = std::distance(own->jobs.begin(), job);
  // Each other client gets one job a round before ours is reached: own_before rounds, and one more if its turn is
  // earlier.
  int64_t ahead = own_before;
  bool earlier = true;
  for (auto turn = round_.begin(); turn != round_.end(); ++turn) {
    if (turn == own) {
      earlier = false;
      continue;
    }
    ahead += std::min(static_cast<int64_t>(turn->jobs.size()), own_before + (earlier ? 1 : 0));
  }
  return ahead;
}

}  // namespace diptych
