// A job store in a folder of its own that can be closed and opened again.
#pragma once

#include <fstream>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "render_node/jobs/sqlite_database.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {

inline constexpr int64_t kNow = 1'700'000'000'000;

inline std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class SqliteJobStoreTest : public testing::Test {
 protected:
  SqliteJobStoreTest() { Open(); }

  void Open() {
    folder_ = std::make_unique<StateFolder>(temporary_.path() / "state");
    store_ = std::make_unique<SqliteJobStore>(*folder_, RepeatableChance(++lives_));
  }
  void Close() {
    store_.reset();
    folder_.reset();
  }
  void Reopen() {
    Close();
    Open();
  }
  std::filesystem::path DatabasePath() const { return temporary_.path() / "state" / "jobs.sqlite"; }

  // A fresh job in one of the states of the usual way.
  std::string JobIn(JobState state) {
    const std::string id = store_->Accept(SpecOf("a cat"), {}, kNow).id;
    MoveTo(*store_, id, state);
    return id;
  }

  // Jobs past the store's own way of waiting for the disk; leaves the store closed.
  void CloseWithQueuedJobs(int count) {
    Close();
    SqliteDatabase database(DatabasePath());
    database.Execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(count) +
        R"sql() INSERT INTO job (id, state, client, priority, attempt, step, accepted_ms, finished_ms, error_code, error,
                                 detail, conditioning, negative_conditioning, spec, timings, fits) SELECT printf('01ARYZ6S41%016d', i), 'queued', 'client' || (i % 9), 0, 0, 0, 0,
                             0, '', '', '', '', '', '{"long_prompt_mode":"pool"}', '{}', '{}' FROM n)sql");
  }

  TemporaryFolder temporary_;
  uint64_t lives_ = 0;
  std::unique_ptr<StateFolder> folder_;
  std::unique_ptr<SqliteJobStore> store_;
};

}  // namespace diptych
