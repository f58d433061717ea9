#include "encoder_node/engine/turn_queue.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace diptych {

using Milliseconds = std::chrono::duration<double, std::milli>;

TurnQueue::Turn TurnQueue::Enter(const Asker& asker) {
  const std::lock_guard lock(mutex_);
  if (!MakeRoom(asker)) {
    throw LineIsFull(ErrorCode::kResourceExhausted,
                     "the encoder's line of prompts is full (" + std::to_string(all_.prompts) +
                         " prompts; encoder.waiting, encoder.waiting_per_host); ask again in a moment");
  }
  CountWork();
  auto owned = std::make_unique<Entry>();
  Entry* const entry = owned.get();
  entry->path = {asker.host, asker.connection, asker.name};
  entry->bytes = asker.bytes;
  entry->number = ++last_number_;
  entries_.emplace(entry, std::move(owned));
  Group* group = &all_;
  for (size_t level = 0;; ++level) {
    ++group->prompts;
    group->bytes += entry->bytes;
    if (level == entry->path.size()) break;
    double least = std::numeric_limits<double>::infinity();
    for (const auto& [name, other] : group->groups) least = std::min(least, other->worked_ms);
    std::unique_ptr<Group>& own = group->groups[entry->path[level]];
    if (own == nullptr) {
      own = std::make_unique<Group>();
      if (group->groups.size() > 1) own->worked_ms = least;
    }
    entry->groups[level] = group = own.get();
  }
  group->line.push_back(entry);
  Choose();
  return Turn(this, entry);
}

// Whether the asker's prompt fits; for that the last one of somebody who has more may lose its place.
bool TurnQueue::MakeRoom(const Asker& asker) {
  for (;;) {
    const auto host = all_.groups.find(asker.host);
    Group* const own_host = host == all_.groups.end() ? nullptr : host->second.get();
    const auto [prompts, bytes] =
        own_host ? std::pair(own_host->prompts, own_host->bytes) : std::pair(size_t{0}, size_t{0});
    const bool host_full = prompts >= limits_.prompts_per_host;
    const bool host_heavy = bytes > 0 && bytes + asker.bytes > limits_.bytes_per_host;
    const bool full = all_.prompts >= limits_.prompts;
    const bool heavy = all_.bytes > 0 && all_.bytes + asker.bytes > limits_.bytes;
    if (!host_full && !host_heavy && !full && !heavy) return true;

    // Among the asker's host, if that is full, else among all: who has most gives way to one who would have less.
    const bool by_bytes = host_full ? false : host_heavy || !full;
    Group* crowd = host_full || host_heavy ? own_host : &all_;
    const size_t first_level = crowd == &all_ ? 0 : 1;
    Entry* const last = LastOf(*crowd, by_bytes);
    if (last == nullptr) return false;
    size_t own = 0, others = 0;  // what the asker would have, and the other has, where they part
    const std::array<std::string, 3> path{asker.host, asker.connection, asker.name};
    const Group* walk = crowd;
    for (size_t level = first_level; level < path.size(); ++level) {
      const auto found = walk->groups.find(path[level]);
      const Group* const mine = found == walk->groups.end() ? nullptr : found->second.get();
      own = by_bytes ? asker.bytes : 1;
      if (mine != nullptr) own += by_bytes ? mine->bytes : mine->prompts;
      others = by_bytes ? last->groups[level]->bytes : last->groups[level]->prompts;
      if (mine != last->groups[level]) break;
      walk = mine;
    }
    if (own >= others) return false;
    last->put_out = true;
    last->moved.notify_all();
    Remove(last);
  }
}

// The last prompt that is not begun, of those who have most.
TurnQueue::Entry* TurnQueue::LastOf(Group& group, bool by_bytes) const {
  if (group.groups.empty()) {
    for (auto entry = group.line.rbegin(); entry != group.line.rend(); ++entry) {
      if (!(*entry)->begun && *entry != working_) return *entry;
    }
    return nullptr;
  }
  std::vector<Group*> most_first;
  for (const auto& [name, child] : group.groups) most_first.push_back(child.get());
  std::stable_sort(most_first.begin(), most_first.end(), [&](const Group* a, const Group* b) {
    return by_bytes ? a->bytes > b->bytes : a->prompts > b->prompts;
  });
  for (Group* child : most_first) {
    if (Entry* const last = LastOf(*child, by_bytes)) return last;
  }
  return nullptr;
}

void TurnQueue::Turn::Wait(const CancelToken& cancel, const Tell& tell) {
  std::unique_lock lock(queue_->mutex_);
  waited_ms_ += queue_->Await(lock, entry_, cancel, tell);
  entry_->begun = true;
}

void TurnQueue::Turn::LetOthersIn(const CancelToken& cancel, const Tell& tell) {
  TurnQueue& queue = *queue_;
  std::unique_lock lock(queue.mutex_);
  cancel.ThrowIfCancelled();
  queue.CountWork();
  if (!queue.SomebodyHasHadLess(*entry_)) return;
  queue.working_ = nullptr;
  queue.Choose();
  if (queue.working_ == entry_) return;
  waited_ms_ += queue.Await(lock, entry_, cancel, tell);
}

double TurnQueue::Await(std::unique_lock<std::mutex>& lock, Entry* entry, const CancelToken& cancel,
                        const Turn::Tell& tell) {
  const Clock::time_point arrival = Clock::now();
  const auto moved = [&] { return working_ == entry || entry->put_out; };
  for (Clock::time_point next_word = arrival + kTell; !moved();) {
    if (cancel.IsCancelled()) {
      Remove(entry);
      entry->put_out = true;
      cancel.ThrowIfCancelled();
    }
    if (!tell) {
      entry->moved.wait(lock, cancel.stop_token(), moved);
    } else if (!entry->moved.wait_until(lock, cancel.stop_token(), next_word, moved) && !cancel.IsCancelled()) {
      next_word = Clock::now() + kTell;
      tell(Ahead(*entry));
    }
  }
  if (entry->put_out) {
    throw LineIsFull(ErrorCode::kResourceExhausted,
                     "the encoder's line of prompts is full, and others have fewer in it; ask again in a moment");
  }
  return Milliseconds(Clock::now() - arrival).count();
}

// With what others have begun so far.
bool TurnQueue::CanWork(const Entry& entry) const {
  if (entry.begun) return true;
  const bool is_short = entry.bytes <= kShortBytes;
  size_t begun = 0, of_one = 0, bytes = entry.bytes;
  for (const auto& [other, owned] : entries_) {
    if (other->put_out || !other->begun || (other->bytes <= kShortBytes) != is_short) continue;
    ++begun;
    bytes += other->bytes;
    if (other->groups[1] == entry.groups[1]) ++of_one;
  }
  return begun < kMostBegun && of_one < kMostBegunOfOne && (begun == 0 || bytes <= kMostBegunBytes);
}

// Of those in the group; null when none of them can work.
TurnQueue::Entry* TurnQueue::Next(Group& group) const {
  if (group.groups.empty()) return !group.line.empty() && CanWork(*group.line.front()) ? group.line.front() : nullptr;
  Entry* best = nullptr;
  double least = 0;
  for (const auto& [name, child] : group.groups) {
    Entry* const entry = Next(*child);
    if (entry == nullptr) continue;
    if (best == nullptr || std::pair(child->worked_ms, entry->number) < std::pair(least, best->number)) {
      best = entry;
      least = child->worked_ms;
    }
  }
  return best;
}

void TurnQueue::Choose() {
  if (working_ != nullptr) return;
  working_ = Next(all_);
  if (working_ == nullptr) return;
  since_ = Clock::now();
  working_->moved.notify_all();
}

// Where their paths part the other has had less by a slice.
bool TurnQueue::SomebodyHasHadLess(const Entry& entry) const {
  const Group* group = &all_;
  for (Group* own : entry.groups) {
    for (const auto& [name, other] : group->groups) {
      if (other.get() != own && other->worked_ms + slice_ms_ <= own->worked_ms && Next(*other) != nullptr) return true;
    }
    group = own;
  }
  return false;
}

// About: its own before it, and as many of each other name.
int32_t TurnQueue::Ahead(const Entry& entry) const {
  std::map<const Group*, int32_t> others;
  int32_t own = 0;
  for (const auto& [other, owned] : entries_) {
    if (other->put_out || other == &entry) continue;
    if (other->groups[2] != entry.groups[2]) {
      ++others[other->groups[2]];
    } else if (other->number < entry.number) {
      ++own;
    }
  }
  int32_t ahead = own;
  for (const auto& [group, prompts] : others) ahead += std::min(prompts, own + 1);
  return ahead;
}

void TurnQueue::CountWork() {
  if (working_ == nullptr) return;
  const Clock::time_point now = Clock::now();
  const double worked_ms = Milliseconds(now - since_).count();
  for (Group* group : working_->groups) group->worked_ms += worked_ms;
  since_ = now;
}

void TurnQueue::Leave(Entry* entry) {
  const std::lock_guard lock(mutex_);
  if (!entry->put_out) Remove(entry);
  entries_.erase(entry);
}

// Out of the line; the entry itself stays until its turn ends.
void TurnQueue::Remove(Entry* entry) {
  CountWork();
  entry->begun = false;
  entry->groups[2]->line.remove(entry);
  if (working_ == entry) working_ = nullptr;
  Group* parent = &all_;
  std::array<Group*, 3> parents{};
  for (size_t level = 0; level < parents.size(); ++level) {
    parents[level] = parent;
    parent = entry->groups[level];
  }
  --all_.prompts;
  all_.bytes -= entry->bytes;
  for (size_t level = parents.size(); level-- > 0;) {
    Group* const group = entry->groups[level];
    --group->prompts;
    group->bytes -= entry->bytes;
    if (group->prompts == 0) parents[level]->groups.erase(entry->path[level]);
  }
  Choose();
}

}  // namespace diptych
