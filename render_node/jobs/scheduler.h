// Which waiting job is next: policy only. Plain state without threads, time or store.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "render_node/jobs/job.h"

namespace diptych {

// The waiting jobs in order of work. Not thread-safe.
class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Jobs are added in the order of their acceptance; one that is already here is left as it is.
  virtual void Add(const QueuedJob& job) = 0;

  // Takes out the next one; nullopt when none waits.
  virtual std::optional<QueuedJob> Take() = 0;

  // Takes out one that will not be worked on. False when it is not waiting.
  virtual bool Remove(const std::string& id) = 0;

  // How many jobs would be taken before this one if no other came; 0 when it is not waiting.
  virtual int64_t Ahead(const std::string& id) const = 0;

  virtual int64_t size() const = 0;
};

// Round-robin over clients; within a client by priority, then by age. A client takes its place at the end of the round
// when its first job comes and after each job taken, so everybody waits for at most one job of everybody else. Nobody
// gains by priority against another client. O(log n) but for Ahead, which looks at each client and at the jobs of its
// own client.
class FairScheduler final : public Scheduler {
 public:
  FairScheduler() = default;
  FairScheduler(const FairScheduler&) = delete;  // it points into itself
  FairScheduler& operator=(const FairScheduler&) = delete;

  void Add(const QueuedJob& job) override;
  std::optional<QueuedJob> Take() override;
  bool Remove(const std::string& id) override;
  int64_t Ahead(const std::string& id) const override;
  int64_t size() const override { return static_cast<int64_t>(place_of_job_.size()); }

 private:
  struct Sooner {  // larger priority, then smaller id: ids sort by age
    bool operator()(const QueuedJob& a, const QueuedJob& b) const {
      return a.priority != b.priority ? a.priority > b.priority : a.id < b.id;
    }
  };
  struct Turn {
    std::string client;
    std::set<QueuedJob, Sooner> jobs;  // never empty
  };
  using Round = std::list<Turn>;
  struct Place {
    Round::iterator turn;
    int32_t priority;
  };

  Round round_;  // the front is served next
  std::map<std::string, Round::iterator> turn_of_client_;
  std::map<std::string, Place> place_of_job_;
};

}  // namespace diptych
