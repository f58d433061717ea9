#include "coordinator/cli/progress_view.h"

#include <sstream>

#include "coordinator/cli/result_text.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

JobView At(JobView::State state, int32_t step = 0, std::vector<double> step_ms = {}) {
  JobView job;
  job.id = "j1";
  job.state = state;
  job.step = step;
  job.steps = 4;
  job.timings.step_ms = std::move(step_ms);
  return job;
}

std::function<size_t()> Columns(size_t columns) {
  return [columns] { return columns; };
}

TEST(ProgressView, WritesALineAStepWhereThereIsNoTerminal) {
  std::ostringstream err;
  {
    ProgressView view(err, /*columns=*/{}, "");
    view.Show(At(JobView::State::kQueued));
    view.Show(At(JobView::State::kQueued));
    view.Show(At(JobView::State::kEncoding));
    view.Show(At(JobView::State::kRendering));
    view.Show(At(JobView::State::kRendering, 1, {120}));
    view.Show(At(JobView::State::kRendering, 1, {120}));
    view.Show(At(JobView::State::kRendering, 2, {120, 80}));
    view.Show(At(JobView::State::kDecoding, 4, {120, 80, 90, 70}));
    view.Show(At(JobView::State::kDone, 4, {120, 80, 90, 70}));
  }
  EXPECT_EQ(err.str(),
            "queued\nencoding\nrendering\nstep 1 of 4 (120 ms)\nstep 2 of 4 (80 ms)\nstep 3 of 4 (90 ms)\n"
            "step 4 of 4 (70 ms)\ndecoding\n");
}

TEST(ProgressView, SaysWhatAJobWaitsForAndWhichPictureItIs) {
  std::ostringstream err;
  ProgressView view(err, {}, "picture 2 of 3");
  JobView job = At(JobView::State::kEncoding);
  job.detail = "no encoder answers";
  view.Show(job);
  EXPECT_EQ(err.str(), "picture 2 of 3: encoding (no encoder answers)\n");
}

TEST(ProgressView, SaysWhenAWaitingJobMayBegin) {
  std::ostringstream err;
  JobView job = At(JobView::State::kQueued);
  job.place = QueuePlaceView{2, 9'600};
  {
    ProgressView lines(err, {}, "");
    lines.Show(job);
    job.place->jobs_ahead = 1;  // tells a bar, not a log
    lines.Show(job);
  }
  EXPECT_EQ(err.str(), "queued (2 ahead, starts in about 10 s)\n");
  err.str("");
  ProgressView bar(err, Columns(80), "");
  bar.Show(job);
  job.place = QueuePlaceView{0, std::nullopt};
  bar.Show(job);
  EXPECT_EQ(err.str(),
            "\r[------------------------] queued (1 ahead, starts in about 10 s)\x1b[K"
            "\r[------------------------] queued (0 ahead)\x1b[K");
}

TEST(ProgressView, DrawsABarOverItselfOnATerminalAndClearsItAtTheEnd) {
  std::ostringstream err;
  ProgressView view(err, Columns(80), "");
  JobView job = At(JobView::State::kRendering, 2, {500, 1500});
  job.left_ms = 2000;
  view.Show(job);
  view.Show(job);
  EXPECT_EQ(err.str(), "\r[############------------] step 2 of 4, 1.00 s a step, 2 s left\x1b[K");
  err.str("");
  view.Show(At(JobView::State::kDone, 4));
  EXPECT_EQ(err.str(), "\r\x1b[K");
}

TEST(ProgressView, KeepsTheBarShorterThanALineOfTheTerminal) {
  std::ostringstream err;
  ProgressView view(err, Columns(40), "picture 2 of 4");
  view.Show(At(JobView::State::kRendering, 2, {500, 1500}));
  EXPECT_EQ(err.str(), "\rpicture 2 of 4: [############-------...\x1b[K");
  EXPECT_EQ(TextColumns("picture 2 of 4: [############-------..."), 39u);
}

TEST(ProgressView, EscapesControlCharactersOfTheDetail) {
  JobView job = At(JobView::State::kEncoding);
  job.detail = "bad\x1b[2J\nforged";
  for (const std::function<size_t()>& columns : {std::function<size_t()>(), Columns(200)}) {
    std::ostringstream err;
    ProgressView view(err, columns, "");
    view.Show(job);
    EXPECT_NE(err.str().find("encoding (bad\\x1b[2J\\nforged)"), std::string::npos) << err.str();
  }
}

TEST(ProgressView, PutsANoteOnALineOfItsOwn) {
  std::ostringstream err;
  ProgressView view(err, Columns(80), "");
  view.Show(At(JobView::State::kQueued));
  err.str("");
  view.Note("connection lost");
  EXPECT_EQ(err.str(), "\r\x1b[Kconnection lost\n");
}

TEST(ProgressBar, SurvivesOddNumbers) {
  JobView job = At(JobView::State::kRendering, 9);
  EXPECT_EQ(ProgressBar(job).substr(0, 26), "[########################]");
  job.steps = 0;
  EXPECT_FALSE(ProgressBar(job).empty());
}

TEST(ResultText, ShowsEveryStageInTheTimings) {
  StageTimings timings{.queue_ms = 10,
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

TEST(ResultText, TabulatesJobsWithTheirErrors) {
  JobView job = At(JobView::State::kFailed, 2);
  job.prompt = "a cat";
  job.client = "me";
  job.error = "out of memory";
  EXPECT_EQ(JobTable({job}, 100),
            "ID  STATE         STEP  CLIENT        PROMPT\n"
            "j1  failed         2/4  me            a cat\n"
            "    error: out of memory\n");
  job.error.clear();
  job.state = JobView::State::kQueued;
  job.place = QueuePlaceView{3, 41'000};
  EXPECT_EQ(JobTable({job}, 100),
            "ID  STATE         STEP  CLIENT        PROMPT\n"
            "j1  queued         2/4  me            a cat\n"
            "    3 ahead, starts in about 41 s\n");
  job.place.reset();
  job.state = JobView::State::kFailed;
  for (const char* client : {"J\xC3\xB6rg", "\xE7\x8C\xAB\xE7\x8C\xAB"}) {
    job.client = client;
    EXPECT_EQ(JobTable({job}, 100).substr(JobTable({}, 100).size()),
              std::string("j1  failed         2/4  ") + client + "          a cat\n");
  }
}

}  // namespace
}  // namespace diptych
