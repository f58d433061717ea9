// The embedded job store: one SQLite file in WAL mode, for one daemon. The lock of its state folder (StateFolder)
// proves that no other lives, so whatever work an earlier life left is there to be taken over at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "render_node/jobs/durable_file.h"
#include "render_node/jobs/job_id.h"
#include "render_node/jobs/job_store.h"
#include "render_node/jobs/state_folder.h"

namespace diptych {

// See JobStore for the contract; thread-safe.
class SqliteJobStore final : public JobStore {
 public:
  // Opens or creates the store in `folder`, which must outlive it and whose lock keeps other daemons out. `random`: as
  // JobIdGenerator takes it. `sync` waits until the file is on the disk; tests let it fail. Throws Error as JobStore
  // says, and kFailedPrecondition for a store of a newer version. `changes`: shared with others in this process who
  // have the same store open; null: nobody has.
  using SyncFunction = std::function<void(const FileDescriptor& fd, const std::filesystem::path& path)>;
  SqliteJobStore(const StateFolder& folder, std::function<uint64_t()> random, SyncFunction sync = SyncFile,
                 std::shared_ptr<JobChanges> changes = nullptr);
  ~SqliteJobStore() override;

  // What was found wrong when it was opened and did not keep it from opening; empty: nothing.
  const std::string& warning() const { return warning_; }

  AcceptedJob Accept(const JobSpec& spec, const JobRows& rows, int64_t now_unix_ms,
                     const std::string& host = "") override;
  std::optional<std::string> FindAccepted(const JobSpec& spec, const JobRows& rows) override;
  std::optional<Job> Get(const std::string& id) override;
  std::vector<Job> List(const JobFilter& filter) override;
  std::vector<QueuedJob> Queued() override;
  std::optional<Job> Claim(const std::string& id, const LeaseOwner& owner, int64_t now_unix_ms,
                           int64_t lease_ms) override;
  int64_t Renew(const LeaseOwner& owner, int64_t now_unix_ms, int64_t lease_ms) override;
  std::vector<Job> TakeOver(const LeaseOwner& owner, int64_t now_unix_ms, int64_t lease_ms) override;
  JobRows Transition(const JobLease& lease, JobState from, JobState to, const JobProgress& progress) override;
  void SaveProgress(const JobLease& lease, JobState state, const JobProgress& progress) override;
  std::vector<EndedJob> Ended() override;
  bool Delete(const std::string& id) override;
  std::vector<std::string> Unreferenced(const std::vector<std::string>& names) override;
  JobRows Rows(const std::string& id) override;
  std::optional<QueuePause> LoadPause() override;
  void SavePause(const std::optional<QueuePause>& pause) override;
  void Sync() override;
  JobChanges& changes() override { return *changes_; }

 private:
  struct Sql;

  // Some of the ids that a list looks at, newest first.
  struct IdBlock {
    std::vector<std::string> ids;
    std::string looked_until;  // the next block begins below it
    bool is_last = true;
  };

  AcceptedJob Insert(const JobSpec& spec, const JobRows& rows, int64_t now_unix_ms, const std::string& host);
  JobRows End(const JobLease& lease, JobState from, JobState to, const JobProgress& progress);
  bool RefuseToDelete(const std::string& id);
  [[noreturn]] void RefuseTransition(const JobLease& lease, JobState from);
  std::vector<Job> Search(const JobFilter& filter);
  IdBlock NextIds(const JobFilter& filter, const std::string& before, const std::string& least);
  std::optional<std::string> FindKey(const JobSpec& spec, const std::string& spec_json, const JobRows& rows);

  const std::string warning_;
  const SyncFunction sync_;
  std::atomic<bool> distrusts_log_ = false;  // a sync of it has failed, and it was not begun anew since
  const std::shared_ptr<JobChanges> changes_;
  JobIdGenerator ids_;
  std::mutex mutex_;  // guards everything below
  std::unique_ptr<Sql> sql_;
};

}  // namespace diptych
