#include "render_node/jobs/progress_writer.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/render_node/jobs/job_fakes.h"
#include "tests/unit/render_node/jobs/memory_job_store.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using enum JobState;
using std::chrono::milliseconds;

class ProgressWriterTest : public testing::Test {
 protected:
  // A job that is rendered, in its first attempt.
  std::string Rendered() {
    const std::string id = memory_.Accept(SpecOf("a cat"), {}, 1'700'000'000'000, "").id;
    MoveTo(memory_, id, kRendering);
    return id;
  }
  static JobProgress AtStep(int32_t step) {
    JobProgress progress;
    progress.step = step;
    return progress;
  }
  int32_t StepOf(const std::string& id) { return memory_.Get(id)->step; }
  // From now on the store writes no progress until LetGo.
  void Hold() {
    store_.on_save = [this] {
      ++begun_;
      while (held_) std::this_thread::sleep_for(milliseconds(1));
    };
  }
  void AwaitBegun(int count) {
    while (begun_ < count) std::this_thread::sleep_for(milliseconds(1));
  }

  MemoryDatabase database_;
  MemoryJobStore memory_{database_};
  FillableStore store_{memory_};
  std::atomic<int> begun_ = 0;
  std::atomic<bool> held_ = true;
};

TEST_F(ProgressWriterTest, WritesWhatItIsTold) {
  const std::string id = Rendered(), other = Rendered();
  ProgressWriter writer(store_);
  writer.Save({id, 1}, kRendering, AtStep(1));
  writer.Save({other, 1}, kRendering, AtStep(2));
  writer.Flush();
  EXPECT_EQ(StepOf(id), 1);
  EXPECT_EQ(StepOf(other), 2);
}

TEST_F(ProgressWriterTest, WritesOfEachJobTheNewestAloneWhenTheStoreIsSlow) {
  const std::string id = Rendered(), other = Rendered();
  Hold();
  ProgressWriter writer(store_);
  writer.Save({id, 1}, kRendering, AtStep(1));
  AwaitBegun(1);
  for (int32_t step = 2; step <= 50; ++step) writer.Save({id, 1}, kRendering, AtStep(step));
  writer.Save({other, 1}, kRendering, AtStep(9));
  held_ = false;
  writer.Flush();
  EXPECT_EQ(begun_, 3) << "the first, the newest, the other job's";
  EXPECT_EQ(StepOf(id), 50);
  EXPECT_EQ(StepOf(other), 9);
}

TEST_F(ProgressWriterTest, UndoesNothingWhenItComesLate) {
  const std::string id = Rendered();
  Hold();
  ProgressWriter writer(store_);
  writer.Save({id, 1}, kRendering, AtStep(1));
  AwaitBegun(1);
  writer.Save({id, 1}, kRendering, AtStep(2));
  writer.Forget(id);
  store_.Transition({id, 1}, kRendering, kDecoding, AtStep(3));
  held_ = false;
  writer.Flush();
  EXPECT_EQ(begun_, 1) << "what waited was forgotten";
  EXPECT_EQ(StepOf(id), 3) << "what was on its way is of a state that the job has left";
  EXPECT_EQ(memory_.Get(id)->state, kDecoding);
}

TEST_F(ProgressWriterTest, WritesWhatWaitsBeforeItEnds) {
  const std::string id = Rendered();
  {
    ProgressWriter writer(store_);
    writer.Save({id, 1}, kRendering, AtStep(1));
  }
  EXPECT_EQ(StepOf(id), 1);
}

TEST_F(ProgressWriterTest, OutlivesAStoreThatFails) {
  const std::string id = Rendered();
  ProgressWriter writer(store_);
  store_.on_save = [] { throw Error(ErrorCode::kUnavailable, "database is locked"); };
  writer.Save({id, 1}, kRendering, AtStep(1));
  writer.Flush();
  EXPECT_EQ(StepOf(id), 0);
  store_.on_save = nullptr;
  writer.Save({id, 1}, kRendering, AtStep(2));
  writer.Flush();
  EXPECT_EQ(StepOf(id), 2);
}

}  // namespace
}  // namespace diptych
