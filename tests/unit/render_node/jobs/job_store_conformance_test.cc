#include "tests/unit/render_node/jobs/job_store_conformance.h"

#include "render_node/jobs/sqlite_job_store.h"
#include "tests/unit/render_node/jobs/memory_job_store.h"

namespace diptych {
namespace {

class SqliteFile final : public JobStoreDatabase {
 public:
  std::unique_ptr<JobStore> Open() override {
    return std::make_unique<SqliteJobStore>(folder_, RepeatableChance(++handles_), SyncFile, changes_);
  }

 private:
  const TemporaryFolder temporary_;
  const StateFolder folder_{temporary_.path() / "state"};
  const std::shared_ptr<JobChanges> changes_ = std::make_shared<JobChanges>();
  uint64_t handles_ = 0;
};

class Memory final : public JobStoreDatabase {
 public:
  std::unique_ptr<JobStore> Open() override { return std::make_unique<MemoryJobStore>(database_); }

 private:
  MemoryDatabase database_;
};

std::string NameOf(const testing::TestParamInfo<JobStoreKind>& kind) { return kind.param.name; }

INSTANTIATE_TEST_SUITE_P(Stores, JobStoreConformance,
                         testing::Values(JobStoreKind{"Sqlite", [] { return std::make_unique<SqliteFile>(); }},
                                         JobStoreKind{"Memory", [] { return std::make_unique<Memory>(); }}),
                         NameOf);

}  // namespace
}  // namespace diptych
