// Which waiting job is next: policy only. Plain state without threads, time or store.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "render_node/jobs/job.h"

namespace diptych {

// The waiting jobs in order of work, and how much is in work for whom. Not thread-safe.
class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Jobs are added in the order of their acceptance; one that is already here is left as it is.
  virtual void Add(const QueuedJob& job) = 0;

  // Takes out the next one, which is in work for its client until Finished; nullopt when none may be begun.
  // `stored_only`: of those whose conditioning is at hand. `of_client`: of the clients for whom it says so; empty: all.
  using ClientChoice = std::function<bool(const std::string& client)>;
  virtual std::optional<QueuedJob> Take(bool stored_only = false, const ClientChoice& of_client = {}) = 0;

  // One that was taken is over, or was put back by Add.
  virtual void Finished(const std::string& client) = 0;

  // Its conditioning is at hand now. Nothing happens when it is not waiting.
  virtual void MarkStored(const std::string& id) = 0;

  // Takes out one that will not be worked on. False when it is not waiting.
  virtual bool Remove(const std::string& id) = 0;

  virtual bool Contains(const std::string& id) const = 0;

  // A waiting job; null when it is not waiting. Until the next change.
  virtual const QueuedJob* Find(const std::string& id) const = 0;

  // The jobs that would be taken before this one if no other came; none when it is not waiting.
  struct Sooner {
    int64_t jobs = 0;
    int64_t others = 0;      // of them those of other clients
    double work = 0;         // QueuedJob::work of all of them
    double encode_work = 0;  // QueuedJob::encode_work of those that need an encoder
  };
  virtual Sooner Ahead(const std::string& id) const = 0;

  virtual int64_t size() const = 0;
  virtual int64_t waiting_of(const std::string& client) const = 0;
  // How many jobs wait for each client that has any, in no order.
  virtual std::vector<int64_t> waiting_per_client() const = 0;
  // Waiting jobs whose conditioning is not known to be at hand, in no order.
  virtual std::vector<std::string> NotStored() const = 0;
};

// The waiting jobs of one host. Round-robin over its clients; within a client first what was begun and interrupted,
// then by priority, then by age. A client takes its place at the end of the round when its first job comes and after
// each job taken. Not thread-safe.
class ClientRound {
 public:
  ClientRound() = default;
  ClientRound(const ClientRound&) = delete;  // it points into itself
  ClientRound& operator=(const ClientRound&) = delete;

  void Add(const QueuedJob& job);
  std::optional<QueuedJob> Take(bool stored_only, const Scheduler::ClientChoice& of_client);
  void MarkStored(const std::string& id);
  void Remove(const std::string& id);  // one that is here
  const QueuedJob* Find(const std::string& id) const;
  Scheduler::Sooner Ahead(const std::string& id) const;
  // The first `most` jobs that would be taken if no other came, as those of another client than the asking one.
  Scheduler::Sooner First(int64_t most) const;
  int64_t size() const { return static_cast<int64_t>(place_of_job_.size()); }
  void NotStored(std::vector<std::string>& ids) const;  // appends

 private:
  struct Order {
    bool operator()(const QueuedJob& a, const QueuedJob& b) const {
      if (a.begun != b.begun) return a.begun;
      return a.priority != b.priority ? a.priority > b.priority : a.id < b.id;  // ids sort by age
    }
  };
  using Jobs = std::set<QueuedJob, Order>;
  struct Turn {
    std::string client;
    Jobs jobs;    // never empty
    Jobs stored;  // those of them whose conditioning is at hand
  };
  using Round = std::list<Turn>;
  struct Place {
    Round::iterator turn;
    Jobs::iterator job;
  };

  Round round_;  // the front is served next
  std::map<std::string, Round::iterator> turn_of_client_;
  std::unordered_map<std::string, Place> place_of_job_;
};

// Round-robin over hosts, and in each over its clients (ClientRound), so everybody waits for at most one job of every
// other host, whatever names that gives, and of every other client of the own host. Nobody gains by priority against
// another client. Who may not begin a job now keeps the turn. O(log n) but for Take, which passes over those who may
// not begin one, and Ahead, which looks at the jobs before. Jobs of which no host is known are of one of their own.
class FairScheduler final : public Scheduler {
 public:
  // `in_work_limit`: jobs of one client in work at a time; 0: no limit.
  explicit FairScheduler(int64_t in_work_limit = 0) : in_work_limit_(in_work_limit) {}
  FairScheduler(const FairScheduler&) = delete;  // it points into itself
  FairScheduler& operator=(const FairScheduler&) = delete;

  void Add(const QueuedJob& job) override;
  std::optional<QueuedJob> Take(bool stored_only = false, const ClientChoice& of_client = {}) override;
  void Finished(const std::string& client) override;
  void MarkStored(const std::string& id) override;
  bool Remove(const std::string& id) override;
  bool Contains(const std::string& id) const override { return host_of_job_.contains(id); }
  const QueuedJob* Find(const std::string& id) const override;
  Sooner Ahead(const std::string& id) const override;
  int64_t size() const override { return static_cast<int64_t>(host_of_job_.size()); }
  int64_t waiting_of(const std::string& client) const override;
  std::vector<int64_t> waiting_per_client() const override;
  std::vector<std::string> NotStored() const override;

 private:
  struct Host {
    explicit Host(std::string its_name) : name(std::move(its_name)) {}
    const std::string name;
    ClientRound clients;  // never empty
  };
  using Hosts = std::list<Host>;

  bool MayBegin(const std::string& client) const;
  void Forget(Hosts::iterator host, const QueuedJob& job);  // that is in its round no more

  const int64_t in_work_limit_;
  Hosts hosts_;  // the front is served next
  std::map<std::string, Hosts::iterator> host_of_name_;
  std::unordered_map<std::string, Hosts::iterator> host_of_job_;
  std::map<std::string, int64_t> waiting_;  // by client; never 0
  std::map<std::string, int64_t> in_work_;  // by client; never 0
};

}  // namespace diptych
