#include "coordinator/cli/progress_view.h"

#include <sstream>
#include <vector>

#include "coordinator/cli/job_table.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/wait_text.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

JobView At(JobState state, int32_t step = 0, std::vector<double> step_ms = {}) {
  JobView job;
  job.id = "j1";
  job.state = state;
  job.step = step;
  job.steps = 4;
  job.timings.step_ms = std::move(step_ms);
  return job;
}

constexpr int64_t kNow = 1'700'000'000'000;

// A terminal of so many columns.
ProgressScreen Terminal(std::ostream& err, size_t columns, bool redraws = true) {
  return {.err = err, .columns = [columns] { return columns; }, .redraws = redraws, .unix_ms = [] { return kNow; }};
}

SeriesPlace Second(size_t count, std::optional<double> all_left_ms = {}) {
  return {.number = 2, .count = count, .all_left_ms = [all_left_ms](const JobView&) { return all_left_ms; }};
}

JobView Painted(int32_t step, double left_ms) {
  JobView job = At(JobState::kRendering, step);
  job.left_ms = left_ms;
  return job;
}

TEST(ProgressView, WritesALineAStepWhereThereIsNoTerminal) {
  std::ostringstream err;
  {
    ProgressView view({.err = err});
    view.Show(At(JobState::kQueued));
    view.Show(At(JobState::kQueued));
    view.Show(At(JobState::kEncoding));
    view.Show(At(JobState::kReady));
    view.Show(At(JobState::kRendering));
    view.Show(At(JobState::kRendering, 1, {120}));
    view.Show(At(JobState::kRendering, 1, {120}));
    view.Show(At(JobState::kRendering, 2, {120, 80}));
    view.Show(At(JobState::kDecoding, 4, {120, 80, 90, 70}));
    view.Show(At(JobState::kDone, 4, {120, 80, 90, 70}));
  }
  EXPECT_EQ(err.str(),
            "queued\nencoding\nwaiting for the painter\nrendering\nstep 1 of 4 (120 ms)\nstep 2 of 4 (80 ms)\n"
            "step 3 of 4 (90 ms)\nstep 4 of 4 (70 ms)\ndecoding\n");
}

TEST(ProgressView, SaysWhatAJobWaitsForAndWhichPictureItIs) {
  std::ostringstream err;
  ProgressView view({.err = err}, Second(3));
  JobView job = At(JobState::kEncoding);
  job.detail = "no encoder answers";
  view.Show(job);
  EXPECT_EQ(err.str(), "picture 2 of 3: encoding (no encoder answers)\n");
}

TEST(ProgressView, SaysWhenAWaitingJobMayBegin) {
  std::ostringstream err;
  JobView job = At(JobState::kQueued);
  job.place = QueuePlace{.jobs_ahead = 2, .wait_ms = 9'600};
  {
    ProgressView lines({.err = err});
    lines.Show(job);
    job.place->jobs_ahead = 1;  // tells a bar, not a log
    lines.Show(job);
    job.place->held_up = "no encoder answers";
    lines.Show(job);
  }
  EXPECT_EQ(err.str(),
            "queued (2 ahead, starts in about 10 s)\nqueued (no encoder answers; 1 ahead, starts in about 10 s)\n");
  err.str("");
  ProgressView bar(Terminal(err, 80));
  job.place->held_up.clear();
  bar.Show(job);
  job.place = QueuePlace{};
  bar.Show(job);
  EXPECT_EQ(err.str(),
            "\r[------------------------] queued (1 ahead, starts in about 10 s)\x1b[K"
            "\r[------------------------] queued (0 ahead)\x1b[K");
}

TEST(ProgressView, DrawsABarOverItselfOnATerminalAndClearsItAtTheEnd) {
  std::ostringstream err;
  ProgressView view(Terminal(err, 80));
  const JobView job = Painted(2, 2000);
  view.Show(job);
  view.Show(job);
  EXPECT_EQ(err.str(), "\r[############------------] step 2 of 4, 1.00 s a step, 2 s left\x1b[K");
  err.str("");
  view.Show(At(JobState::kDone, 4));
  EXPECT_EQ(err.str(), "\r\x1b[K");
}

TEST(ProgressView, ANarrowTerminalLosesTheBarAndThenWordsButNoNumber) {
  JobView job = Painted(2, 2000);
  const auto at = [&](size_t columns) { return ProgressText(job, 2, 3, 40'000, columns, kNow); };
  EXPECT_EQ(at(110),
            "picture 2 of 3: [############------------] step 2 of 4, 1.00 s a step, 2 s left, about 40 s left for all");
  EXPECT_EQ(at(99), "picture 2 of 3: [############------------] step 2 of 4, 2 s left, about 40 s left for all");
  EXPECT_EQ(at(79), "picture 2 of 3: [#####-----] step 2 of 4, 2 s left, about 40 s left for all");
  EXPECT_EQ(at(65), "picture 2 of 3: step 2 of 4, 2 s left, about 40 s left for all");
  EXPECT_EQ(at(39), "2/3 step 2/4 2s all 40s");
  EXPECT_EQ(at(19), "2/3 2/4 2s all 40s");
  job.step = 200;
  job.steps = 1000;
  EXPECT_EQ(ProgressText(job, 12, 40, 36'000'000, 19, kNow), "12/40 200/1000 10h");
}

TEST(ProgressView, NoWidthIsExceeded) {
  std::vector<JobView> jobs = {Painted(2, 2000), At(JobState::kQueued), At(JobState::kEncoding), At(JobState::kReady),
                               At(JobState::kDecoding, 4)};
  jobs[1].place = QueuePlace{.jobs_ahead = 12, .others_ahead = 3, .wait_ms = 1e6, .held_up = std::string(200, 'x')};
  jobs[2].detail = "encoder 127.0.0.1:7871: connection refused";
  jobs[3].place = QueuePlace{.jobs_ahead = 1, .wait_ms = 5000};
  jobs[3].place->pause = QueuePause{"ada", kNow};
  jobs[4].tiles = 9;
  jobs[4].tiles_done = 3;
  jobs[4].until_done_ms = 4000;
  for (const JobView& job : jobs) {
    for (size_t columns = 1; columns < 200; ++columns) {
      const std::string text = ProgressText(job, 10, 12, 1e7, columns, kNow);
      EXPECT_LE(TextColumns(text), columns) << text;
      EXPECT_FALSE(text.empty());
    }
  }
  EXPECT_EQ(ProgressText(jobs[4], 1, 1, {}, 60, kNow), "[##########] decoding, tile 3 of 9, about 4 s left");
  EXPECT_EQ(ProgressText(jobs[4], 1, 1, {}, 19, kNow), "decoding 3/9 4s");
  EXPECT_EQ(ProgressText(jobs[3], 2, 3, {}, 27, kNow), "2/3 ready paused 1 ahead 5s");
}

TEST(ProgressView, ATerminalThatUnderstandsNoControlSequencesGetsALineAChangeThatFits) {
  std::ostringstream err;
  {
    ProgressView view(Terminal(err, 20, /*redraws=*/false), Second(3, 40'000));
    view.Show(At(JobState::kQueued));
    view.Show(At(JobState::kRendering, 1, {120}));
    view.Show(At(JobState::kDecoding, 2, {120, 80}));
  }
  EXPECT_EQ(err.str(), "2/3 queued\n2/3 1/4 all 40s\n2/3 2/4 all 40s\n2/3 decoding\n");
}

TEST(ProgressView, FollowsAChangeOfTheTerminalsWidth) {
  std::ostringstream err;
  size_t columns = 100;
  ProgressScreen screen = Terminal(err, 0);
  screen.columns = [&] { return columns; };
  ProgressView view(screen);
  view.Show(Painted(1, 3000));
  columns = 20;
  view.Show(Painted(2, 2000));
  EXPECT_EQ(err.str(), "\r[######------------------] step 1 of 4, 1.00 s a step, 3 s left\x1b[K\rstep 2/4 2s\x1b[K");
}

TEST(ProgressView, EscapesControlCharactersOfTheDetail) {
  JobView job = At(JobState::kEncoding);
  job.detail = "bad\x1b[2J\nforged";
  std::ostringstream err;
  for (const ProgressScreen& screen : {ProgressScreen{.err = err}, Terminal(err, 200)}) {
    err.str("");
    ProgressView view(screen);
    view.Show(job);
    EXPECT_NE(err.str().find("encoding (bad\\x1b[2J\\nforged)"), std::string::npos) << err.str();
  }
}

TEST(ProgressView, PutsANoteOnALineOfItsOwn) {
  std::ostringstream err;
  ProgressView view(Terminal(err, 80));
  view.Show(At(JobState::kQueued));
  err.str("");
  view.Note("connection lost");
  EXPECT_EQ(err.str(), "\r\x1b[Kconnection lost\n");
}

TEST(ProgressText, SurvivesOddNumbers) {
  JobView job = At(JobState::kRendering, 9);
  EXPECT_EQ(ProgressText(job, 1, 1, {}, 80, kNow).substr(0, 26), "[########################]");
  job.steps = 0;
  EXPECT_FALSE(ProgressText(job, 1, 1, {}, 80, kNow).empty());
}

TEST(WaitText, SaysWhoPausedTheQueueAndWhoseJobsAreAhead) {
  JobView job = At(JobState::kQueued);
  job.place = QueuePlace{.jobs_ahead = 3, .others_ahead = 2, .wait_ms = 40'000};
  EXPECT_EQ(WaitText(job, kNow), "3 ahead (2 of others), starts in about 40 s");
  job.place->others_ahead = 3;
  EXPECT_EQ(WaitText(job, kNow), "3 ahead of others, starts in about 40 s");
  job.deadline_unix_ms = kNow + 60'000;
  EXPECT_EQ(WaitText(job, kNow), "3 ahead of others, starts in about 40 s; deadline in 60 s");
  job.deadline_unix_ms = kNow + 12'000;
  EXPECT_EQ(WaitText(job, kNow), "3 ahead of others, starts in about 40 s; its deadline comes before that, in 12 s");
  job.deadline_unix_ms = 0;
  job.place->wait_ms.reset();
  job.place->pause = QueuePause{"ada", kNow};
  EXPECT_EQ(WaitText(job, kNow), "the queue is paused by ada since " + ClockText(kNow, kNow) + "; 3 ahead of others");
  job.state = JobState::kDone;
  EXPECT_EQ(WaitText(job, kNow), "");
}

TEST(WaitText, Durations) {
  EXPECT_EQ(DurationText(400), "0 s");
  EXPECT_EQ(DurationText(99'000), "99 s");
  EXPECT_EQ(DurationText(240'000), "4 min");
  EXPECT_EQ(DurationText(7'200'000), "2.0 h");
  EXPECT_EQ(DurationText(3 * 86'400'000.0), "3 days");
  EXPECT_EQ(BriefDuration(240'000), "4m");
}

TEST(ResultText, WrapsAListAtItsCommas) {
  EXPECT_EQ(Wrapped("queue 0.01 s, encode 0.31 s, total 9 s", 30, "  "), "  queue 0.01 s, encode 0.31 s,\n  total 9 s");
  EXPECT_EQ(Wrapped("a, b", 0, "  "), "  a, b");
}

TEST(ResultText, ShowsEveryStageInTheTimings) {
  JobTimings timings{.queue_ms = 10,
                     .encode_ms = 310,
                     .transfer_ms = 20,
                     .refine_ms = 30,
                     .step_ms = {100, 300},
                     .decode_ms = 40,
                     .png_ms = 50,
                     .total_ms = 900};
  EXPECT_EQ(
      TimingsLine(timings),
      "queue 0.01 s, encode 0.31 s, transfer 0.02 s, refine 0.03 s, 2 steps of 0.20 s, decode 0.04 s, png 0.05 s, "
      "total 0.90 s");
}

TEST(ResultText, KeepsAPromptOnOneLineAndItsCharactersWhole) {
  EXPECT_EQ(OneLine("a\nb\x1b[2J", 40), "a b [2J");
  const std::string cat = "\xE7\x8C\xAB";  // two columns wide
  EXPECT_EQ(OneLine(cat + cat + cat + cat, 5), cat + "...");
  EXPECT_EQ(OneLine(cat + cat + cat + cat, 6), cat + "...") << "half a cat would stand out";
  EXPECT_EQ(OneLine(cat + cat + cat + cat, 8), cat + cat + cat + cat);
  EXPECT_EQ(OneLine("J\xC3\xB6rg", 4), "J\xC3\xB6rg") << "four characters of five bytes";
  EXPECT_EQ(OneLine("Jo\xCC\x88rg", 4), "Jo\xCC\x88rg") << "a combining mark takes no column";
  EXPECT_EQ(OneLine("abcd", 2), "..");
  EXPECT_EQ(OneLine("short", 5), "short");
  EXPECT_EQ(OneLine("bad \xFF", 40), "bad  ");
}

JobView Row(const std::string& id) {
  JobView job = At(JobState::kFailed, 2);
  job.id = id;
  job.prompt = "a cat";
  job.client = "me";
  job.width = 1024;
  job.height = 512;
  job.seed = 77;
  job.accepted_unix_ms = kNow - 40'000;
  return job;
}

TEST(JobTable, ShowsWhatAJobIsAndWhatItFailedOf) {
  JobView job = Row("j1");
  job.error = "out of memory";
  const std::string head = "ID  STATE         STEP       AGE  SIZE       SEED  CLIENT        PROMPT\n";
  EXPECT_EQ(
      JobTable({job}, 100, kNow),
      head + "j1  failed         2/4      40 s  1024x512   77    me            a cat\n    error: out of memory\n");
  job.error.clear();
  job.state = JobState::kReady;
  job.place = QueuePlace{.jobs_ahead = 3, .wait_ms = 41'000};
  EXPECT_EQ(JobTable({job}, 100, kNow), head +
                                            "j1  ready          2/4      40 s  1024x512   77    me            a cat\n"
                                            "    waiting for the painter; 3 ahead, starts in about 41 s\n");
  job.place.reset();
  job.state = JobState::kFailed;
  for (const char* client : {"J\xC3\xB6rg", "\xE7\x8C\xAB\xE7\x8C\xAB"}) {
    job.client = client;
    EXPECT_EQ(JobTable({job}, 100, kNow),
              head + "j1  failed         2/4      40 s  1024x512   77    " + client + "          a cat\n");
  }
}

TEST(JobTable, FitsEveryWidthAndKeepsTheNumbers) {
  std::vector<JobView> jobs = {Row("01KB9VT0000000000000000001"), Row("01KB9VT0000000000000000002")};
  jobs[0].error = std::string(300, 'x');
  for (size_t columns = 20; columns < 200; ++columns) {
    const std::string table = JobTable(jobs, columns, kNow);
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(TextColumns(line), columns) << line;
    if (columns < 40) continue;
    for (const char* part : {"failed", "2/4", "40 s", "1024x512", "77", "a cat"}) {
      EXPECT_NE(table.find(part), std::string::npos) << columns << "\n" << table;
    }
  }
  EXPECT_NE(JobTable(jobs, 120, kNow).find("01KB9VT0000000000000000002  failed"), std::string::npos);
  EXPECT_NE(JobTable(jobs, 80, kNow).find("\n00000002  failed"), std::string::npos) << JobTable(jobs, 80, kNow);
}

}  // namespace
}  // namespace diptych
