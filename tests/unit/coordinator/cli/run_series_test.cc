// Many pictures in one run of the program: --count, prompt files, a queue that is full.
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "coordinator/cli/command.h"
#include "coordinator/files.h"
#include "coordinator/input.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/cli/run_fixture.h"

namespace diptych {
namespace {

using nlohmann::json;

class RunSeriesTest : public RunTest {};

TEST_F(RunSeriesTest, PaintsSeveralPicturesWithFollowingSeeds) {
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "3", "--seed", "40", "--json"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitDone) << err_.str();
  const json pictures = Lines();
  ASSERT_EQ(pictures.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pictures[i]["seed"], 40 + i);
    EXPECT_EQ(pictures[i]["path"], folder_ / ("p-" + std::to_string(i + 1) + ".png"));
    EXPECT_EQ(FindReceipt(ReadPngText(ReadBoundedFile(pictures[i]["path"].get<std::string>(), 1 << 20))).seed, 40u + i);
  }
}

TEST_F(RunSeriesTest, OnePictureThatFailsLeavesTheOthersAlone) {
  renderer_.fail_with = "out of memory";
  renderer_.fails_alone = "job-2";
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "3", "--seed", "40", "--json"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitFailed);
  const json pictures = Lines();
  ASSERT_EQ(pictures.size(), 3u);
  EXPECT_EQ(pictures[0]["path"], folder_ / "p-1.png");
  EXPECT_EQ(pictures[0]["state"], "done");
  EXPECT_EQ(pictures[0]["error"], nullptr);
  EXPECT_EQ(pictures[0]["receipt"]["seed"], 40);
  EXPECT_EQ(pictures[1], (json{{"state", "failed"},
                               {"id", "job-2"},
                               {"path", nullptr},
                               {"prompt", "a cat"},
                               {"seed", 41},
                               {"error", {{"code", "INTERNAL"}, {"message", "out of memory"}}}}));
  EXPECT_EQ(pictures[2]["path"], folder_ / "p-3.png");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "p-3.png"));
  const std::string err = err_.str();
  EXPECT_NE(err.find("warning: picture 2 of 3: out of memory\n"), std::string::npos) << err;
  const json error = json::parse(err.substr(err.rfind('\n', err.size() - 2) + 1))["error"];
  EXPECT_EQ(error, (json{{"code", "UNAVAILABLE"},
                         {"message", "1 of 3 pictures failed; the first: out of memory"},
                         {"exit_status", 1}}));
}

TEST_F(RunSeriesTest, OnePictureThatIsRefusedLeavesTheOthersAlone) {
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "3", "--seed", "12", "--json"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitFailed);
  const json pictures = Lines();
  ASSERT_EQ(pictures.size(), 3u);
  EXPECT_EQ(pictures[0]["path"], folder_ / "p-1.png");
  EXPECT_EQ(pictures[1]["state"], "not_submitted");
  EXPECT_EQ(pictures[1]["seed"], 13);
  EXPECT_EQ(pictures[1]["error"], (json{{"code", "INVALID_ARGUMENT"}, {"message", "not submitted: no seed 13"}}));
  EXPECT_EQ(pictures[2]["path"], folder_ / "p-3.png");
  EXPECT_NE(err_.str().find("1 of 3 pictures failed; the first: not submitted: no seed 13"), std::string::npos)
      << err_.str();

  EXPECT_EQ(RunWithRenderer({"submit", "a cat", "--seeds", "12-14", "--json"}), kExitFailed);
  const json jobs = json::parse(out_.str());
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[1], (json{{"prompt", "a cat"}, {"seed", 13}, {"error", "no seed 13"}}));
  EXPECT_EQ(jobs[2]["seed"], 14);
  EXPECT_NE(err_.str().find("warning: picture 2 of 3: not submitted: no seed 13\n"), std::string::npos) << err_.str();
  EXPECT_NE(err_.str().find("1 of 3 jobs were not submitted; the first: no seed 13"), std::string::npos) << err_.str();
}

TEST_F(RunSeriesTest, PaintsEveryPromptOfAFileWithEverySeed) {
  WriteFileAtomically(folder_ / "prompts.jsonl",
                      "a cat\n\n"
                      R"({"prompt": "a dog", "width": 48, "seeds": [7, "9-10"], "output": ")" +
                          (folder_ / "dog.png") + "\"}\n");
  const std::vector<std::string> arguments = {
      "--prompts", folder_ / "prompts.jsonl", "--height", "16", "--steps", "2", "--seeds", "1,2", "--json"};
  std::vector<std::string> generate = {"generate", "--output", folder_ / "new/p.png"};
  generate.insert(generate.end(), arguments.begin(), arguments.end());
  EXPECT_EQ(RunWithRenderer(generate), kExitDone) << err_.str();
  EXPECT_NE(err_.str().find("picture 3 of 5: step 1 of 2"), std::string::npos) << err_.str();
  const json pictures = Lines();
  ASSERT_EQ(pictures.size(), 5u);
  struct Row {
    const char *prompt, *path;
    uint64_t seed;
    int width;
  };
  const Row rows[] = {{"a cat", "new/p-1.png", 1, 1024},
                      {"a cat", "new/p-2.png", 2, 1024},
                      {"a dog", "dog-1.png", 7, 48},
                      {"a dog", "dog-2.png", 9, 48},
                      {"a dog", "dog-3.png", 10, 48}};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(pictures[i]["prompt"], rows[i].prompt);
    EXPECT_EQ(pictures[i]["path"], folder_ / rows[i].path);
    const Receipt receipt = FindReceipt(ReadPngText(ReadBoundedFile(folder_ / rows[i].path, 1 << 24)));
    EXPECT_EQ(receipt.prompt->user, rows[i].prompt);
    EXPECT_EQ(receipt.seed, rows[i].seed);
    EXPECT_EQ(receipt.width, rows[i].width);
    EXPECT_EQ(receipt.height, 16);
  }

  std::vector<std::string> submit = {"submit"};
  submit.insert(submit.end(), arguments.begin(), arguments.end());
  EXPECT_EQ(RunWithRenderer(submit), kExitDone) << err_.str();
  const json jobs = json::parse(out_.str());
  ASSERT_EQ(jobs.size(), 5u);
  EXPECT_EQ(jobs[4]["prompt"], "a dog");
  EXPECT_EQ(jobs[4]["seed"], 10);
  EXPECT_EQ(renderer_.specs().at(9).width(), 48);
  EXPECT_EQ(err_.str(), "diptych: warning: submit writes no picture: output has no effect\n");
}

TEST_F(RunSeriesTest, ReadsPromptsFromStandardInput) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    for (const char* text : {"a cat\n", "a d", "og"}) {
      EXPECT_GT(write(ends[1], text, strlen(text)), 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    close(ends[1]);
  });
  input_ = ends[0];
  EXPECT_EQ(RunWithRenderer({"submit", "--prompts", "-"}), kExitDone) << err_.str();
  writer.join();
  EXPECT_EQ(out_.str(), "job-1\njob-2\n");
  EXPECT_EQ(renderer_.specs().at(1).prompt().user(), "a dog");
  close(ends[0]);
}

TEST_F(RunSeriesTest, AnInterruptEndsTheReadingOfStandardInput) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  input_ = ends[0];
  std::thread user([&] { interrupt_.Request(); });
  EXPECT_EQ(RunWithRenderer({"submit", "--prompts", "-"}), kExitInterrupted);
  user.join();
  close(ends[0]);
  close(ends[1]);
}

TEST_F(RunSeriesTest, RefusesAPromptFileBeforeAnythingIsSubmitted) {
  const std::string file = folder_ / "prompts.jsonl";
  const auto expect_refusal = [&](const std::string& text, const std::string& message,
                                  const std::vector<std::string>& more = {}) {
    WriteFileAtomically(file, text);
    std::vector<std::string> arguments = {"generate", "--prompts", file, "--output", folder_ / "p.png"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(RunWithRenderer(arguments), kExitUsage) << text;
    EXPECT_EQ(err_.str(), "diptych: error: " + message + "\n");
  };
  expect_refusal("a cat\n{\"prompt\": \"a dog\", \"widht\": 64}\n",
                 file + ":2: unknown key \"widht\"; did you mean \"width\"?");
  expect_refusal("a cat\n{\"prompt\": \"a dog\", \"seed\": 18446744073709551615, \"count\": 2}\n",
                 file +
                     ":2: --seed 18446744073709551615 leaves no room for 2 following seeds; the last must be at most "
                     "2^64 - 1");
  expect_refusal("a\n{\"prompt\": \"b\", \"output\": \"" + (folder_ / "p-1.png") + "\"}\n",
                 file + ":2: output \"" + (folder_ / "p-1.png") + "\" is given twice");
  expect_refusal("a cat\n", "--prompts and PROMPT exclude each other: the file's lines are the prompts", {"a dog"});
  expect_refusal("a cat\n", "--prompts and --from-picture exclude each other: a picture has its own prompt",
                 {"--from-picture", "p.png"});
  expect_refusal("a cat\n", "--prompts and --load-embeddings exclude each other: embeddings have their own prompt",
                 {"--load-embeddings", "e.safetensors"});
  expect_refusal("a cat\n",
                 "--save-embeddings encodes a prompt; it does not go with --load-embeddings, --from-picture or "
                 "--prompts",
                 {"--save-embeddings", "e.safetensors", "--model-path", "m"});
  expect_refusal("a cat\n", "--seeds names the seed of every picture; leave --seed and --count out",
                 {"--seeds", "1,2", "--seed", "1"});
  EXPECT_TRUE(renderer_.specs().empty());
}

TEST_F(RunSeriesTest, PaintsMoreThanTheQueueHolds) {
  renderer_.queue_limit = 2;
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "6", "--seed", "40"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitDone) << err_.str();
  EXPECT_TRUE(std::filesystem::exists(folder_ / "p-6.png"));
  EXPECT_EQ(renderer_.specs().size(), 6u);
  EXPECT_GT(renderer_.full_refusals(), 0);
  EXPECT_EQ(err_.str().find("waiting for room"), std::string::npos) << "its own pictures are the queue";
}

TEST_F(RunSeriesTest, WaitsForRoomInAQueueThatOthersHaveFilledAndSaysSoOnce) {
  renderer_.queue_limit = 0;
  std::thread others([&] {
    while (renderer_.full_refusals() < 3) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    renderer_.queue_limit = 1;
  });
  EXPECT_EQ(RunWithRenderer({"submit", "a cat"}), kExitDone) << err_.str();
  others.join();
  const std::string waiting = "diptych: waiting for room: the queue is full; try again in 0 s\n";
  EXPECT_EQ(err_.str(), waiting);
  EXPECT_EQ(out_.str(), "job-1\n");

  std::thread again([&, before = renderer_.full_refusals()] {
    while (renderer_.full_refusals() < before + 3) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    renderer_.queue_limit = 5;
  });
  EXPECT_EQ(RunWithRenderer(Generate(folder_ / "p.png")), kExitDone) << err_.str();
  again.join();
  EXPECT_EQ(err_.str().rfind(waiting, 0), 0u) << err_.str();
  EXPECT_EQ(err_.str().find(waiting, 1), std::string::npos) << err_.str();
}

TEST_F(RunSeriesTest, AnInterruptedSubmitWaitsNoLongerAndLeavesItsJobs) {
  renderer_.queue_limit = 1;
  std::thread user([&] {
    while (renderer_.full_refusals() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    interrupt_.Request();
  });
  EXPECT_EQ(RunWithRenderer({"submit", "a cat", "--count", "3", "--json"}), kExitInterrupted);
  user.join();
  EXPECT_EQ(json::parse(out_.str()).size(), 1u);
  EXPECT_EQ(renderer_.specs().size(), 1u);
  EXPECT_EQ(renderer_.state("job-1"), "JOB_STATE_QUEUED");
}

TEST_F(RunSeriesTest, AnInterruptedSeriesSubmitsNothingMore) {
  renderer_.queue_limit = 1;
  renderer_.hang = true;
  std::thread user([&] {
    while (!renderer_.AnyJobUnderWay()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    interrupt_.Request();
  });
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "4"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitInterrupted);
  user.join();
  EXPECT_EQ(renderer_.specs().size(), 1u);
  EXPECT_EQ(renderer_.state("job-1"), "JOB_STATE_CANCELLED");
}

}  // namespace
}  // namespace diptych
