// Jobs of the real renderer: the command contract, cancelling, and what survives the death of a daemon.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/user.h"

namespace diptych::integration {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

const Arguments kSmall = {"--width", "64", "--height", "64", "--steps", "2", "--seed", "7"};
// Minutes of work: it never ends by itself in a test.
const Arguments kEndless = {"--width", "512", "--height", "512", "--steps", "1000", "--seed", "7"};
// Long enough to be killed in.
const Arguments kMedium = {"--width", "256", "--height", "256", "--steps", "40", "--seed", "7"};

// A renderer that can die and come back at the same address, and its encoder.
class Studio : public User {
 public:
  Studio() : User(FreeAddress()), encoder_(StartEncoder(ToyPath("toy_a"), {"--threads", "1"})) { StartRenderer(); }

  void StartRenderer() { renderer_.emplace("diptych-renderd", RendererFlags(), address()); }
  Arguments RendererFlags() const {
    return {"--model-path", ToyPath("toy_a"), "--encoder", encoder_.address(),
            "--state-dir",  *this / "state",  "--threads", "1"};
  }
  Daemon& renderer() { return *renderer_; }
  Daemon& encoder() { return encoder_; }

  void AwaitStep(const std::string& id, int step) const {
    Await("step " + std::to_string(step), [&] { return Job(id)["step"] >= step; });
  }

 private:
  Daemon encoder_;
  std::optional<Daemon> renderer_;
};

TEST(Jobs, AreSubmittedListedWatchedAndFetched) {
  const Studio studio;
  const json picture = studio.Json(Arguments{"generate", "A cat", "--output", studio / "generated.png"} + kSmall);
  EXPECT_EQ(picture["path"], studio / "generated.png");
  EXPECT_EQ(picture["seed"], 7);
  const json& timings = picture["timings"];
  for (const char* stage : {"queue_ms", "encode_ms", "transfer_ms", "refine_ms", "decode_ms", "png_ms", "total_ms"}) {
    EXPECT_TRUE(timings[stage].is_number() && timings[stage] >= 0) << stage;
  }
  EXPECT_EQ(timings["step_ms"].size(), 2u);

  const Outcome submitted = studio.Run(Arguments{"submit", "A cat", "--client", "nightly", "--priority", "5"} + kSmall);
  ASSERT_EQ(submitted.status, 0) << submitted.err;
  ASSERT_EQ(submitted.out.find('\n'), submitted.out.size() - 1);  // the id and nothing else
  const std::string id = submitted.out.substr(0, submitted.out.size() - 1);

  const json watched = studio.Json({"watch", id});
  EXPECT_EQ(watched["id"], id);
  EXPECT_EQ(watched["state"], "done");
  const json jobs = studio.Json({"jobs"});
  ASSERT_EQ(jobs.size(), 2u);
  const json expected = {{"id", id},          {"state", "done"}, {"client", "nightly"}, {"priority", 5},
                         {"prompt", "A cat"}, {"step", 2},       {"steps", 2},          {"width", 64},
                         {"height", 64},      {"seed", 7},       {"error", ""}};
  for (const auto& [key, value] : expected.items()) EXPECT_EQ(jobs[0][key], value) << key;  // newest first
  EXPECT_EQ(jobs[1]["id"], picture["id"]);

  EXPECT_EQ(studio.Json({"fetch", id, "--output", studio / "fetched.png"})["path"], studio / "fetched.png");
  EXPECT_TRUE(ReadFile(studio / "fetched.png") == ReadFile(studio / "generated.png"));
  EXPECT_EQ(studio.Json({"cancel", id, "--client", "nightly"})["state"], "done");  // left as it is
}

TEST(Jobs, ACancelledOneStopsWithinAStepAndTheNextRuns) {
  const Studio studio;
  const std::string id = studio.Submit(kEndless);
  const std::string next = studio.Submit(kSmall);
  studio.AwaitStep(id, 2);
  const int step = studio.Json({"cancel", id})["step"];
  EXPECT_EQ(studio.Json({"watch", next})["state"], "done");
  const json job = studio.Job(id);
  EXPECT_EQ(job["state"], "cancelled");
  EXPECT_GE(job["step"], step);
  EXPECT_LE(job["step"], step + 1);
  const Outcome fetched = studio.Run({"fetch", id, "--output", studio / "never.png"});
  EXPECT_EQ(fetched.status, 1);
  EXPECT_EQ(ErrorLines(fetched), (Arguments{"job " + id + " was cancelled"}));
  EXPECT_FALSE(std::filesystem::exists(studio / "never.png"));
}

TEST(Jobs, AWaitingOneIsCancelledAtOnce) {
  const Studio studio;
  const std::string running = studio.Submit(kEndless), waiting = studio.Submit(kEndless);
  studio.Json({"cancel", waiting});
  EXPECT_EQ(studio.Job(waiting)["state"], "cancelled");
  EXPECT_EQ(studio.Job(waiting)["step"], 0);
  studio.Json({"cancel", running});
}

TEST(Jobs, APausedQueueRestsOverARestartAndSaysWhoPausedIt) {
  Studio studio;
  EXPECT_EQ(studio.Run({"pause", "--client", "ada"}).status, 0);
  const std::string id = studio.Submit(kSmall);
  studio.renderer().Kill();
  studio.StartRenderer();
  EXPECT_EQ(studio.Json({"nodes"})["renderer"]["pause"]["by"], "ada");
  EXPECT_EQ(studio.Job(id)["place"]["pause"]["by"], "ada");
  const Outcome table = studio.Run({"jobs"});
  EXPECT_NE(table.out.find("the queue is paused by ada since "), std::string::npos) << table.out;
  const Outcome refused = studio.Run({"resume", "--client", "bob"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("the queue was paused by client \"ada\", and you are \"bob\"; --force"), std::string::npos)
      << refused.err;
  EXPECT_EQ(studio.Run({"resume", "--client", "bob", "--force"}).status, 0);
  EXPECT_EQ(studio.Json({"watch", id})["state"], "done");
  EXPECT_NE(studio.renderer().Log().find("resumed by \"bob\"; it was paused by \"ada\" (force)"), std::string::npos);
}

TEST(Jobs, OfAnotherClientAreEndedOnlyWithForceWhichTheLogSays) {
  Studio studio;
  const std::string id = studio.Submit(kEndless + Arguments{"--client", "bob"});
  const Outcome refused = studio.Run({"cancel", id, "--client", "ada"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("is of client \"bob\", and you are \"ada\"; --force"), std::string::npos) << refused.err;
  EXPECT_EQ(studio.Run({"cancel", "last", "--client", "bob"}).status, 0);
  Await("cancelled", [&] { return studio.Job(id)["state"] == "cancelled"; });
  EXPECT_EQ(studio.Run({"rm", id.substr(id.size() - 8), "--client", "ada"}).status, 1);
  EXPECT_EQ(studio.Run({"rm", id.substr(id.size() - 8), "--client", "ada", "--force"}).status, 0);
  EXPECT_NE(studio.renderer().Log().find("removed by \"ada\", who is not its client \"bob\" (force)"),
            std::string::npos)
      << studio.renderer().Log();
}

TEST(Jobs, AnInterruptedGenerateEndsWith130AndItsJobsAreCancelled) {
  const Studio studio;
  Process generate = StartDiptych(
      studio.WithAddress(Arguments{"generate", "A cat", "--output", studio / "never.png", "--count", "2"} + kEndless));
  Await("the first step", [&] { return generate.Err().find("step 1 of 1000") != std::string::npos; });
  generate.Signal(SIGINT);
  const Outcome outcome = Finish(generate, std::chrono::seconds(15));
  EXPECT_EQ(outcome.status, 130);
  EXPECT_TRUE(outcome.err.ends_with("diptych: interrupted\n")) << outcome.err;
  const json jobs = studio.Json({"jobs"});
  ASSERT_EQ(jobs.size(), 2u);
  for (const json& job : jobs) {
    Await(
        "cancelled", [&] { return studio.Job(job["id"])["state"] == "cancelled"; }, std::chrono::seconds(5));
  }
  EXPECT_FALSE(std::filesystem::exists(studio / "never-1.png"));
}

// Twice in a row: the user does not wait for the orderly end. Its own daemons and their folder are gone all the same.
TEST(Jobs, AGenerateThatIsInterruptedTwiceLeavesNothingBehind) {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "tmp");
  Process generate(Arguments{ProgramPath("diptych"), "generate", "A cat", "--model-path", ToyPath("toy_a"), "--output",
                             scratch / "never.png"} +
                       kEndless,
                   {{"TMPDIR", scratch / "tmp"}});
  Await("the first step", [&] { return generate.Err().find("step 1 of 1000") != std::string::npos; });
  EXPECT_FALSE(std::filesystem::is_empty(scratch / "tmp"));
  generate.Signal(SIGINT);
  std::this_thread::sleep_for(milliseconds(20));  // two at the same moment are one
  generate.Signal(SIGINT);
  EXPECT_EQ(Finish(generate, std::chrono::seconds(15)).status, 130);
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "tmp"));
}

TEST(Jobs, SeveralPicturesHaveFollowingSeedsAndTheNamesThatWereGiven) {
  const Studio studio;
  const std::vector<json> counted =
      studio.JsonLines(Arguments{"generate", "A cat", "--count", "3", "--output", studio / "p.png"} + kSmall);
  ASSERT_EQ(counted.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(counted[i]["seed"], 7 + i);
    EXPECT_EQ(counted[i]["path"], studio / ("p-" + std::to_string(i + 1) + ".png").c_str());
  }
  studio.JsonLines(Arguments{"generate", "A cat", "--output", studio / "one.png", "--output", studio / "two.png"} +
                   kSmall);
  const std::string first = ReadFile(studio / "p-1.png"), second = ReadFile(studio / "p-2.png");
  EXPECT_FALSE(first == second);
  EXPECT_TRUE(ReadFile(studio / "one.png") == first);
  EXPECT_TRUE(ReadFile(studio / "two.png") == second);
}

// Seen by a user who waits for the picture before, during and after the loss of the daemon.
TEST(Jobs, AJobWhoseRendererIsKilledIsFinishedAfterTheRestartWithTheSameBytes) {
  Studio studio;
  studio.Json(Arguments{"generate", "A cat", "--output", studio / "quiet.png"} + kMedium);
  Process generate =
      StartDiptych(studio.WithAddress(Arguments{"generate", "A cat", "--output", studio / "waited.png"} + kMedium));
  Await("the second step", [&] { return generate.Err().find("step 2 of") != std::string::npos; });
  studio.renderer().Kill();
  studio.StartRenderer();
  const Outcome waited = Finish(generate);
  EXPECT_EQ(waited.status, 0) << waited.err;
  EXPECT_TRUE(ReadFile(studio / "waited.png") == ReadFile(studio / "quiet.png"));
  const json jobs = studio.Json({"jobs"});
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0]["state"], "done");
  EXPECT_EQ(jobs[0]["attempt"], 2);
}

TEST(Jobs, WhoWaitsForAPictureGetsItAlsoWhenTheRendererIsStoppedAndStartedAgain) {
  Studio studio;
  studio.Json(Arguments{"generate", "A cat", "--output", studio / "quiet.png"} + kMedium);
  Process generate =
      StartDiptych(studio.WithAddress(Arguments{"generate", "A cat", "--output", studio / "waited.png"} + kMedium));
  for (const char* step : {"step 2 of", "step 12 of", "step 22 of"}) {
    Await(step, [&] { return generate.Err().find(step) != std::string::npos; });
    EXPECT_EQ(studio.renderer().Stop(), 0);
    std::this_thread::sleep_for(milliseconds(300));  // longer than the client waits between two tries
    studio.StartRenderer();
  }
  const Outcome waited = Finish(generate);
  EXPECT_EQ(waited.status, 0) << waited.err;
  EXPECT_TRUE(ReadFile(studio / "waited.png") == ReadFile(studio / "quiet.png"));
}

TEST(Daemons, EndWithStatus0SoonAfterSigtermAndKeepTheJobs) {
  Studio studio;
  const std::string id = studio.Submit(kEndless), waiting = studio.Submit(kSmall);
  studio.AwaitStep(id, 1);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(studio.renderer().Stop(), 0);
  EXPECT_EQ(studio.encoder().Stop(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(6));
  studio.StartRenderer();
  EXPECT_NE(studio.Job(id)["state"], "cancelled");
  const std::string state = studio.Job(waiting)["state"];
  EXPECT_TRUE(state == "queued" || state == "encoding" || state == "ready") << state;
  studio.Json({"cancel", id});
}

TEST(Daemons, ASecondRendererOnTheSameStateFolderIsRefused) {
  Studio studio;
  const Outcome second = RunDaemon("diptych-renderd", studio.RendererFlags() + Arguments{"--listen", "127.0.0.1:0"});
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.err.find("in use by another render daemon"), std::string::npos) << second.err;
  EXPECT_TRUE(studio.renderer().IsRunning());
}

TEST(Daemons, LeaveThisMachineOnlyWhenToldAndSaySo) {
  const Scratch scratch;
  const std::string model = ToyPath("toy_a"), elsewhere = "192.0.2.1:7871";
  const Arguments renderd = {"--model-path", model, "--state-dir", scratch / "state"};
  const Outcome outcomes[] = {
      RunDaemon("diptych-encoderd", {"--model-path", model, "--listen", "0.0.0.0:0"}),
      RunDaemon("diptych-renderd", renderd + Arguments{"--listen", "0.0.0.0:0"}),
      RunDaemon("diptych-renderd", renderd + Arguments{"--listen", "127.0.0.1:0", "--encoder", elsewhere}),
      Diptych({"jobs", "--render", elsewhere})};
  for (const Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_NE(outcome.err.find("--insecure"), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  Daemon encoder = StartEncoder(model, {"--insecure"}, "0.0.0.0:0");
  EXPECT_NE(encoder.Log().find("without encryption (--insecure)"), std::string::npos) << encoder.Log();
  EXPECT_EQ(encoder.Stop(), 0);
}

}  // namespace
}  // namespace diptych::integration
