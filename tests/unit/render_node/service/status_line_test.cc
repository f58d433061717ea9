#include "render_node/service/status_line.h"

#include <gtest/gtest.h>

namespace diptych {
namespace {

JobQueue::Census Waiting(int64_t queued, int64_t ready) {
  JobQueue::Census census;
  census.jobs[static_cast<size_t>(JobState::kQueued)] = queued;
  census.jobs[static_cast<size_t>(JobState::kReady)] = ready;
  return census;
}

TEST(StatusLine, SaysWhatIsDoneAndHowManyWait) {
  JobQueue::Census census = Waiting(0, 0);
  EXPECT_EQ(StatusLine(census), "idle; no jobs wait");
  census = Waiting(0, 1);
  census.at_work = {"01X", JobState::kEncoding, 0, 9, ""};
  EXPECT_EQ(StatusLine(census), "encoding 01X; 1 job waits");
  census.at_work->detail = "no encoder answers";
  EXPECT_EQ(StatusLine(census), "encoding 01X, no encoder answers; 1 job waits");
  census = Waiting(3, 1);
  census.at_work = {"01X", JobState::kRendering, 3, 9, ""};
  EXPECT_EQ(StatusLine(census), "painting 01X, step 3 of 9; 4 jobs wait");
  census.at_work->state = JobState::kDecoding;
  EXPECT_EQ(StatusLine(census), "decoding 01X; 4 jobs wait");
  census.at_work.reset();
  census.pause = QueuePause{"ada", 5};
  EXPECT_EQ(StatusLine(census), "idle; paused by ada; 4 jobs wait");
}

}  // namespace
}  // namespace diptych
