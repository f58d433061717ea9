// A job runner with fake models, a real store in a folder of its own, and lives that begin anew with Open().
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/jobs/job_runner.h"
#include "render_node/jobs/recovery.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "tests/unit/render_node/jobs/job_fakes.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {

inline constexpr std::chrono::milliseconds kSoon{20'000};  // far beyond what anything here takes

inline std::vector<uint8_t> PixelsAsPng(const FinishRequest& request) { return request.picture.rgb; }

class JobRunnerTest : public testing::Test {
 protected:
  JobRunnerTest() { Open(); }

  void Open() {
    runner_.reset();
    queue_.reset();
    folder_.reset();
    sqlite_.reset();
    folder_ = std::make_unique<StateFolder>(temporary_.path() / "state");
    sqlite_ = std::make_unique<SqliteJobStore>(*folder_, RepeatableChance(++lives_));
    store_ = std::make_unique<FillableStore>(*sqlite_);
    pictures_ = std::make_unique<PictureStore>(folder_->pictures());
    scheduler_ = std::make_unique<FairScheduler>();
    checkpoints_ = std::make_unique<CheckpointStore>(folder_->checkpoints());
    const LeaseOwner owner{kOwner.name, "life " + std::to_string(lives_)};
    inputs_ = std::make_unique<InputStore>(folder_->inputs());
    recovery_ = RecoverInterrupted(
        *store_, owner, [this](const std::string& id) { return checkpoints_->StepOf(id); }, clock_.UnixMs());
    uploads_ = std::make_unique<ConditioningFiles>(folder_->conditioning());
    queue_ = std::make_unique<JobQueue>(JobQueueParts{.store = *store_,
                                                      .uploads = *uploads_,
                                                      .owner = owner,
                                                      .scheduler = *scheduler_,
                                                      .clock = clock_,
                                                      .limits = limits_});
  }
  void Start() {
    const auto note = [this](const std::string& what) {
      const std::lock_guard lock(changes_mutex_);
      changes_ += " " + what;
    };
    JobRunnerEvents events;
    events.state_changed = [note](const Job& job) { note(std::string(JobStateName(job.state))); };
    events.planned = [note](const Job&, const std::string& plan) { note("(" + plan + ")"); };
    events.resumed = [note](const Job&, int32_t step) { note("from " + std::to_string(step)); };
    events.checkpoint_failed = [note](const Job&, const std::string& why) { note("[" + why + "]"); };
    events.store_failed = [this](const std::string& job_id, const absl::Status&) {
      {
        const std::lock_guard lock(changes_mutex_);
        store_failed_for_.insert(job_id);
      }
      ++store_failures_;
    };
    events.parted = [note](const Job& job, size_t together, const absl::Status& why) {
      note(job.spec.prompt->user + " parted to " + std::to_string(together) + ": " + std::string(why.message()));
    };
    runner_ = std::make_unique<JobRunner>(JobRunnerParts{.queue = *queue_,
                                                         .store = *store_,
                                                         .pictures = *pictures_,
                                                         .checkpoints = *checkpoints_,
                                                         .inputs = *inputs_,
                                                         .source = source_,
                                                         .renderer = renderer_,
                                                         .clock = clock_,
                                                         .finish = finish_,
                                                         .events = events,
                                                         .preview = preview_,
                                                         .batch = batch_,
                                                         .max_prompt_tokens = max_prompt_tokens_,
                                                         .shortage_pause = std::chrono::milliseconds(5)});
  }
  std::string Submit(const JobSpec& spec, const UploadedConditioning& uploaded = {}) {
    return queue_->Submit(spec, uploaded)->id;
  }
  // Waits for the end of a job.
  Job Ended(const std::string& id) {
    const auto watch = *queue_->Watch(id);
    Job job;
    while (watch->Next(kSoon, &job) == JobWatch::Outcome::kJob) {
    }
    return job;
  }
  std::string PictureOf(const std::string& id) {
    const std::vector<uint8_t> bytes = pictures_->Load(queue_->Get(id)->picture);
    return {bytes.begin(), bytes.end()};
  }

  TemporaryFolder temporary_;
  uint64_t lives_ = 0;
  FakeClock clock_;
  FakeSource source_;
  OnePixelRenderer renderer_;
  PictureFinisher finish_ = PixelsAsPng;
  PreviewEncoder preview_;
  QueueLimits limits_;
  int64_t batch_ = 1;
  int64_t max_prompt_tokens_ = 0;
  std::mutex changes_mutex_;
  std::string changes_;  // read when the workers have stopped
  std::atomic<int> store_failures_ = 0;
  std::set<std::string> store_failed_for_;  // guarded by changes_mutex_
  std::unique_ptr<StateFolder> folder_;
  std::unique_ptr<SqliteJobStore> sqlite_;
  std::unique_ptr<FillableStore> store_;
  std::unique_ptr<ConditioningFiles> uploads_;
  std::unique_ptr<PictureStore> pictures_;
  std::unique_ptr<CheckpointStore> checkpoints_;
  std::unique_ptr<InputStore> inputs_;
  Recovery recovery_;
  std::unique_ptr<FairScheduler> scheduler_;
  std::unique_ptr<JobQueue> queue_;
  std::unique_ptr<JobRunner> runner_;
};

}  // namespace diptych
