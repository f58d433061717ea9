#include "encoder_node/service/turn_queue.h"

#include <algorithm>
#include <utility>

namespace diptych {

using Milliseconds = std::chrono::duration<double, std::milli>;

TurnQueue::Turn TurnQueue::Wait(const std::string& client, const CancelToken& cancel) {
  std::unique_lock lock(mutex_);
  double least = 0;
  if (!clients_.empty()) {
    CountWork();
    least = std::min_element(clients_.begin(), clients_.end(), [](const auto& a, const auto& b) {
              return a.second.worked_ms < b.second.worked_ms;
            })->second.worked_ms;
  }
  const auto [own, is_new] = clients_.try_emplace(client);
  if (is_new) own->second.worked_ms = least;
  const uint64_t ticket = ++last_ticket_;
  own->second.line.push_back(ticket);
  client_of_.emplace(ticket, own);
  Choose();
  const double waited_ms = Await(lock, ticket, cancel);
  own->second.begun = true;
  return Turn(this, ticket, waited_ms);
}

void TurnQueue::Turn::LetOthersIn(const CancelToken& cancel) {
  TurnQueue& queue = *queue_;
  std::unique_lock lock(queue.mutex_);
  if (queue.working_ != ticket_) cancel.ThrowIfCancelled();
  queue.CountWork();
  const auto own = queue.client_of_.at(ticket_);
  const auto has_had_less = [&](const auto& entry) {
    return entry.second.worked_ms + queue.slice_ms_ <= own->second.worked_ms;
  };
  if (std::none_of(queue.clients_.begin(), queue.clients_.end(), has_had_less)) return;
  queue.working_ = 0;
  queue.Choose();
  if (queue.working_ == ticket_) return;
  queue.moved_.notify_all();
  waited_ms_ += queue.Await(lock, ticket_, cancel);
}

double TurnQueue::Await(std::unique_lock<std::mutex>& lock, uint64_t ticket, const CancelToken& cancel) {
  const Clock::time_point arrival = Clock::now();
  while (working_ != ticket) {
    if (cancel.IsCancelled()) {
      Remove(ticket);
      cancel.ThrowIfCancelled();
    }
    moved_.wait_for(lock, std::chrono::milliseconds(20));
  }
  return Milliseconds(Clock::now() - arrival).count();
}

void TurnQueue::Choose() {
  if (working_ != 0) return;
  const auto begun =
      std::count_if(clients_.begin(), clients_.end(), [](const auto& entry) { return entry.second.begun; });
  const Client* next = nullptr;
  for (const auto& [name, client] : clients_) {
    if (!client.begun && static_cast<size_t>(begun) >= kMostBegun) continue;
    const auto order = [](const Client& c) { return std::pair(c.worked_ms, c.line.front()); };
    if (next == nullptr || order(client) < order(*next)) next = &client;
  }
  if (next == nullptr) return;
  working_ = next->line.front();
  since_ = Clock::now();
  moved_.notify_all();
}

void TurnQueue::CountWork() {
  if (working_ == 0) return;
  const Clock::time_point now = Clock::now();
  client_of_.at(working_)->second.worked_ms += Milliseconds(now - since_).count();
  since_ = now;
}

void TurnQueue::Leave(uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  if (client_of_.contains(ticket)) Remove(ticket);
}

void TurnQueue::Remove(uint64_t ticket) {
  CountWork();
  const Clients::iterator own = client_of_.at(ticket);
  client_of_.erase(ticket);
  if (own->second.line.front() == ticket) own->second.begun = false;
  own->second.line.remove(ticket);
  if (own->second.line.empty()) clients_.erase(own);
  if (working_ == ticket) working_ = 0;
  Choose();
}

}  // namespace diptych
