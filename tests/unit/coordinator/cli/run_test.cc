// The program from its arguments to its exit status, against a renderer in this process.
#include "coordinator/cli/run.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "coordinator/cli/command.h"
#include "coordinator/files.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/fake_renderer.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using nlohmann::json;

class RunTest : public testing::Test {
 protected:
  RunTest() {
    unsetenv("DIPTYCH_RENDER");
    unsetenv("DIPTYCH_CONFIG");
  }
  int Run(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    Environment environment{.out = out_,
                            .err = err_,
                            .err_columns = {},
                            .interrupt = interrupt_,
                            .program_folder = folder_.path,
                            .in = input_};
    return RunDiptych(arguments, environment);
  }
  // With the renderer's address and small numbers.
  int RunWithRenderer(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--render", renderer_.address});
    return Run(arguments);
  }
  static std::vector<std::string> Generate(const std::string& output) {
    return {"generate", "a cat", "--width", "16", "--height", "32", "--steps", "2", "--output", output};
  }
  void ExpectUsage(const std::vector<std::string>& arguments, const std::string& part) {
    EXPECT_EQ(Run(arguments), kExitUsage);
    ExpectOneLineWith(part);
  }
  void ExpectOneLineWith(const std::string& part) {
    const std::string err = err_.str();
    EXPECT_EQ(err.rfind("diptych: error: ", 0), 0u) << err;
    EXPECT_EQ(err.find('\n'), err.size() - 1) << err;
    EXPECT_NE(err.find(part), std::string::npos) << err;
  }

  TestFolder folder_;
  FakeRenderer renderer_;
  Interrupt interrupt_;
  int input_ = -1;
  std::ostringstream out_, err_;
};

TEST_F(RunTest, ListsEveryCommandInItsHelp) {
  EXPECT_EQ(Run({"--help"}), kExitDone);
  for (const CommandEntry& entry : CommandTable())
    EXPECT_NE(out_.str().find(std::string(entry.name)), std::string::npos);
  EXPECT_EQ(err_.str(), "");
}

TEST_F(RunTest, EveryCommandHasHelpWithItsFlags) {
  for (const CommandEntry& entry : CommandTable()) {
    EXPECT_EQ(Run({std::string(entry.name), "--help"}), kExitDone);
    EXPECT_NE(out_.str().find("--json"), std::string::npos) << entry.name;
  }
  Run({"generate", "--help"});
  for (const char* flag : {"--seed", "--output", "--from-picture", "--model-path", "--render", "--count"}) {
    EXPECT_NE(out_.str().find(flag), std::string::npos) << flag;
  }
}

TEST_F(RunTest, RefusesTheFlagsOfDaemonsWhereNoneAreStarted) {
  for (const char* flag : {"--torch-dtype", "--threads", "--transformer-path", "--vae-path"}) {
    ExpectUsage({"tokens", "x", "--model-path", folder_ / "model", flag, "1"}, std::string("unknown flag ") + flag);
  }
  ExpectUsage({"doctor", "--torch-dtype", "float32"}, "unknown flag --torch-dtype");
}

TEST_F(RunTest, RefusesTheFlagsOfPrivateDaemonsBesideARenderer) {
  const std::vector<std::vector<std::string>> all = {
      {"--model-path", "m"},     {"--text-encoder-path", "t"}, {"--transformer-path", "d"}, {"--vae-path", "v"},
      {"--torch-dtype", "auto"}, {"--threads", "2"},           {"--dit-device", "cuda"},    {"--tiled-vae"}};
  for (const std::vector<std::string>& flag : all) {
    std::vector<std::string> arguments = Generate(folder_ / "p.png");
    arguments.insert(arguments.end(), flag.begin(), flag.end());
    EXPECT_EQ(RunWithRenderer(arguments), kExitUsage);
    ExpectOneLineWith("--render and " + flag[0] + " exclude each other");
  }
  setenv("DIPTYCH_RENDER", renderer_.address.c_str(), 1);
  ExpectUsage({"generate", "x", "--vae-path", "v"}, "--render (from environment or file) and --vae-path exclude");
  unsetenv("DIPTYCH_RENDER");
  EXPECT_TRUE(renderer_.specs().empty());
}

TEST_F(RunTest, AcceptsTheCustomSchedulerAndSaysThatItIsWithoutEffect) {
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.push_back("--use-custom-scheduler");
  EXPECT_EQ(RunWithRenderer(arguments), kExitDone) << err_.str();
  EXPECT_EQ(err_.str().rfind("diptych: warning: --use-custom-scheduler has no effect", 0), 0u) << err_.str();
}

TEST_F(RunTest, ASwitchBeforeThePromptDoesNotSwallowIt) {
  ExpectUsage({"generate", "--tiled-vae", "a cat", "--model-path", folder_ / "nowhere", "--steps", "0"}, "--steps");
  EXPECT_EQ(Run({"generate", "--tiled-vae", "a cat", "--model-path", folder_ / "nowhere"}), kExitFailed);
  EXPECT_NE(err_.str().find("diptych-encoderd is missing"), std::string::npos) << err_.str();
}

TEST_F(RunTest, PrintsItsVersion) {
  EXPECT_EQ(Run({"--version"}), kExitDone);
  EXPECT_EQ(out_.str().rfind("diptych ", 0), 0u);
}

TEST_F(RunTest, RefusesWrongUsageWithOneLineAndAHint) {
  ExpectUsage({}, "a command is missing");
  ExpectUsage({"genrate", "x"}, "did you mean generate?");
  ExpectUsage({"frobnicate", "x"}, "there is no command \"frobnicate\" (diptych --help lists the commands)");
  ExpectUsage({"generate", "x", "--frobnicate"}, "unknown flag --frobnicate (diptych generate --help lists the flags)");
  ExpectUsage({"generate", "x", "--sed", "4"}, "unknown flag --sed; did you mean --seed?");
  ExpectUsage({"generate", "x", "--widht=64"}, "did you mean --width?");
  ExpectUsage({"--seed", "4", "generate"}, "the command comes first");
  ExpectUsage({"generate", "a", "red", "cat"}, "needs quotes");
  ExpectUsage({"jobs", "a"}, "unexpected argument \"a\" (diptych jobs --help lists the flags)");
  ExpectUsage(
      {"generate"},
      "nobody to paint: give --render HOST:PORT (or DIPTYCH_RENDER) for a running renderer, or --model-path DIR");
  ExpectUsage({"generate", "--render", renderer_.address}, "PROMPT is missing");
  ExpectUsage({"generate", "x", "--steps", "0", "--render", renderer_.address}, "--steps");
  ExpectUsage({"generate", "x", "--seed", "-1", "--render", renderer_.address}, "--seed");
  ExpectUsage({"generate", "x", "--render", "127.0.0.1"}, "127.0.0.1");
  ExpectUsage({"generate", "x", "--render", renderer_.address, "--model-path", "m"}, "exclude each other");
  ExpectUsage({"generate", "\xFF", "--render", renderer_.address}, "UTF-8");
  ExpectUsage({"jobs"}, "no renderer: give --render");
  ExpectUsage({"watch", "--render", renderer_.address}, "ID is required");
  ExpectUsage({"tokens", "x"}, "--model-path");
}

TEST_F(RunTest, NamesTheNearestLegalSizes) {
  ExpectUsage({"generate", "x", "--width", "1000", "--render", renderer_.address}, "the nearest are 992 and 1008");
  ExpectUsage({"generate", "x", "--height", "5", "--render", renderer_.address}, "the nearest is 16");
}

TEST_F(RunTest, TakesACommandsNameAsAPrompt) {
  EXPECT_EQ(RunWithRenderer({"submit", "jobs"}), kExitDone);
  EXPECT_EQ(renderer_.specs().at(0).prompt().user(), "jobs");
}

TEST_F(RunTest, TakesAPromptThatBeginsWithADashBehindTwoDashes) {
  EXPECT_EQ(Run({"submit", "--render", renderer_.address, "--", "--steps"}), kExitDone);
  EXPECT_EQ(renderer_.specs().at(0).prompt().user(), "--steps");
}

TEST_F(RunTest, GeneratesAPictureAndPrintsPathAndTimings) {
  EXPECT_EQ(RunWithRenderer(Generate(folder_ / "new/p.png")), kExitDone) << err_.str();
  const PngFile file = DecodePng(ReadBoundedFile(folder_ / "new/p.png", 1 << 20));
  EXPECT_EQ(file.picture.width, 16);
  EXPECT_EQ(file.picture.height, 32);
  EXPECT_EQ(out_.str().rfind((folder_ / "new/p.png") + "\n", 0), 0u) << out_.str();
  EXPECT_NE(out_.str().find("2 steps of 0.01 s"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("total 1.23 s"), std::string::npos) << out_.str();
  EXPECT_EQ(err_.str(), "queued\nstep 1 of 2 (5 ms)\nstep 2 of 2 (5 ms)\n");
}

TEST_F(RunTest, WarnsOfAPromptThatWasShortened) {
  const std::string warning =
      "diptych: warning: the prompt was compressed: 1880 tokens, 1504 rows (interpolate, r = 1.25)\n";
  renderer_.tokens = renderer_.rows = 1504;
  EXPECT_EQ(RunWithRenderer(Generate(folder_ / "p.png")), kExitDone) << err_.str();
  EXPECT_EQ(err_.str().find("warning"), std::string::npos) << err_.str();
  renderer_.tokens = 1880;
  EXPECT_EQ(RunWithRenderer(Generate(folder_ / "p.png")), kExitDone) << err_.str();
  EXPECT_NE(err_.str().find(warning), std::string::npos) << err_.str();
  ASSERT_EQ(RunWithRenderer({"watch", "job-2", "--json"}), kExitDone) << err_.str();
  EXPECT_NE(err_.str().find(warning), std::string::npos) << err_.str();
  EXPECT_EQ(json::parse(out_.str())["prompt_fit"], (json{{"token_count", 1880}, {"rows", 1504}}));
  std::vector<std::string> truncating = Generate(folder_ / "p.png");
  truncating.insert(truncating.end(), {"--long-prompt-mode", "truncate"});
  EXPECT_EQ(RunWithRenderer(truncating), kExitDone) << err_.str();
  EXPECT_NE(err_.str().find("the prompt was truncated: 1880 tokens, 1504 rows (truncate, r = 1.25)"), std::string::npos)
      << err_.str();
}

TEST_F(RunTest, TakesTheRendererFromTheEnvironment) {
  setenv("DIPTYCH_RENDER", renderer_.address.c_str(), 1);
  EXPECT_EQ(Run(Generate(folder_ / "p.png")), kExitDone) << err_.str();
  unsetenv("DIPTYCH_RENDER");
}

TEST_F(RunTest, PaintsSeveralPicturesWithFollowingSeeds) {
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "3", "--seed", "40", "--json"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitDone) << err_.str();
  const json pictures = json::parse(out_.str())["pictures"];
  ASSERT_EQ(pictures.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pictures[i]["seed"], 40 + i);
    EXPECT_EQ(pictures[i]["path"], folder_ / ("p-" + std::to_string(i + 1) + ".png"));
    EXPECT_EQ(FindReceipt(ReadPngText(ReadBoundedFile(pictures[i]["path"].get<std::string>(), 1 << 20))).seed, 40u + i);
  }
}

TEST_F(RunTest, RepeatsAPictureAndSaysWhetherItIsTheSame) {
  ASSERT_EQ(RunWithRenderer(Generate(folder_ / "p.png")), kExitDone);
  EXPECT_EQ(RunWithRenderer({"generate", "--from-picture", folder_ / "p.png", "--output", folder_ / "q.png"}),
            kExitDone)
      << err_.str();
  EXPECT_NE(out_.str().find("receipt identical"), std::string::npos) << out_.str();
  EXPECT_EQ(ReadBoundedFile(folder_ / "p.png", 1 << 20), ReadBoundedFile(folder_ / "q.png", 1 << 20));

  renderer_.transformer_digit = '9';
  EXPECT_EQ(RunWithRenderer({"generate", "--from-picture", folder_ / "p.png", "--steps", "3", "--json", "--output",
                             folder_ / "q.png"}),
            kExitDone);
  EXPECT_NE(err_.str().find("warning: the renderer's transformer is 999999999999"), std::string::npos) << err_.str();
  const json picture = json::parse(out_.str())["pictures"][0];
  EXPECT_EQ(picture["receipt_identical"], false);
  EXPECT_EQ(picture["receipt_differs_in"], (json{"steps", "transformer_fingerprint"}));
}

TEST_F(RunTest, ReportsTheReasonOfAFailedJobInOneLine) {
  renderer_.fail_with = "out of memory";
  EXPECT_EQ(RunWithRenderer(Generate(folder_ / "p.png")), kExitFailed);
  const std::string err = err_.str();
  EXPECT_NE(err.find("diptych: error: out of memory\n"), std::string::npos) << err;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "p.png"));
}

TEST_F(RunTest, ALostConnectionCancelsNothingAndSaysHowToGoOn) {
  renderer_.away = true;
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "2", "--timeout", "0.2"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitFailed);
  const std::string err = err_.str();
  for (const char* part : {"is not available", "not cancelled: job-1, job-2", "diptych watch ID", "diptych fetch ID"})
    EXPECT_NE(err.find(part), std::string::npos) << err;
  EXPECT_EQ(renderer_.state("job-1"), "JOB_STATE_QUEUED");
  EXPECT_EQ(renderer_.state("job-2"), "JOB_STATE_QUEUED");
}

TEST_F(RunTest, OnePictureThatFailsLeavesTheOthersAlone) {
  renderer_.fail_with = "out of memory";
  renderer_.fails_alone = "job-2";
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "3", "--seed", "40", "--json"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitFailed);
  const json pictures = json::parse(out_.str())["pictures"];
  ASSERT_EQ(pictures.size(), 3u);
  EXPECT_EQ(pictures[0]["path"], folder_ / "p-1.png");
  EXPECT_EQ(pictures[1], (json{{"id", "job-2"}, {"prompt", "a cat"}, {"seed", 41}, {"error", "out of memory"}}));
  EXPECT_EQ(pictures[2]["path"], folder_ / "p-3.png");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "p-3.png"));
  const std::string err = err_.str();
  EXPECT_NE(err.find("warning: picture 2 of 3: out of memory\n"), std::string::npos) << err;
  EXPECT_TRUE(err.ends_with("diptych: error: 1 of 3 pictures failed; the first: out of memory\n")) << err;
}

TEST_F(RunTest, OnePictureThatIsRefusedLeavesTheOthersAlone) {
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "3", "--seed", "12", "--json"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitFailed);
  const json pictures = json::parse(out_.str())["pictures"];
  ASSERT_EQ(pictures.size(), 3u);
  EXPECT_EQ(pictures[0]["path"], folder_ / "p-1.png");
  EXPECT_EQ(pictures[1], (json{{"id", ""}, {"prompt", "a cat"}, {"seed", 13}, {"error", "not submitted: no seed 13"}}));
  EXPECT_EQ(pictures[2]["path"], folder_ / "p-3.png");
  EXPECT_TRUE(err_.str().ends_with("error: 1 of 3 pictures failed; the first: not submitted: no seed 13\n"))
      << err_.str();

  EXPECT_EQ(RunWithRenderer({"submit", "a cat", "--seeds", "12-14", "--json"}), kExitFailed);
  const json jobs = json::parse(out_.str());
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[1], (json{{"prompt", "a cat"}, {"seed", 13}, {"error", "no seed 13"}}));
  EXPECT_EQ(jobs[2]["seed"], 14);
  EXPECT_NE(err_.str().find("warning: picture 2 of 3: not submitted: no seed 13\n"), std::string::npos) << err_.str();
  EXPECT_TRUE(err_.str().ends_with("error: 1 of 3 jobs were not submitted; the first: no seed 13\n")) << err_.str();
}

TEST_F(RunTest, PaintsEveryPromptOfAFileWithEverySeed) {
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
  const json pictures = json::parse(out_.str())["pictures"];
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

TEST_F(RunTest, ReadsPromptsFromStandardInput) {
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

TEST_F(RunTest, AnInterruptEndsTheReadingOfStandardInput) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  input_ = ends[0];
  std::thread user([&] { interrupt_.Request(); });
  EXPECT_EQ(RunWithRenderer({"submit", "--prompts", "-"}), kExitInterrupted);
  user.join();
  close(ends[0]);
  close(ends[1]);
}

TEST_F(RunTest, RefusesAPromptFileBeforeAnythingIsSubmitted) {
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
  expect_refusal("a cat\n{\"prompt\": \"a dog\", \"seed\": 9223372036854775807, \"count\": 2}\n",
                 file +
                     ":2: --seed 9223372036854775807 leaves no room for 2 following seeds; the last must be at most "
                     "2^63 - 1");
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

TEST_F(RunTest, PaintsMoreThanTheQueueHolds) {
  renderer_.queue_limit = 2;
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "6", "--seed", "40"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitDone) << err_.str();
  EXPECT_TRUE(std::filesystem::exists(folder_ / "p-6.png"));
  EXPECT_EQ(renderer_.specs().size(), 6u);
  EXPECT_GT(renderer_.full_refusals(), 0);
  EXPECT_EQ(err_.str().find("waiting for room"), std::string::npos) << "its own pictures are the queue";
}

TEST_F(RunTest, WaitsForRoomInAQueueThatOthersHaveFilledAndSaysSoOnce) {
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

TEST_F(RunTest, AnInterruptedSubmitWaitsNoLongerAndLeavesItsJobs) {
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

TEST_F(RunTest, AnInterruptedSeriesSubmitsNothingMore) {
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

TEST_F(RunTest, WritesNoPictureThatIsDamaged) {
  renderer_.damage_picture = true;
  EXPECT_EQ(RunWithRenderer(Generate(folder_ / "p.png")), kExitFailed);
  EXPECT_NE(err_.str().find("checksum"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "p.png"));
}

TEST_F(RunTest, ReportsWhatTheRendererRefuses) {
  EXPECT_EQ(RunWithRenderer({"submit", "x", "--steps", "13"}), kExitFailed);
  ExpectOneLineWith("steps must not be 13");
}

TEST_F(RunTest, FailsWhenNobodyIsThere) {
  EXPECT_EQ(Run({"jobs", "--render", "127.0.0.1:1", "--timeout", "2"}), kExitFailed);
  ExpectOneLineWith("the renderer at 127.0.0.1:1");
}

TEST_F(RunTest, CancelsTheJobsWhenInterrupted) {
  renderer_.hang = true;
  std::thread user([&] {
    while (!renderer_.AnyJobUnderWay()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    interrupt_.Request();
  });
  std::vector<std::string> arguments = Generate(folder_ / "p.png");
  arguments.insert(arguments.end(), {"--count", "2"});
  EXPECT_EQ(RunWithRenderer(arguments), kExitInterrupted);
  user.join();
  EXPECT_EQ(renderer_.state("job-1"), "JOB_STATE_CANCELLED");
  EXPECT_EQ(renderer_.state("job-2"), "JOB_STATE_CANCELLED");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "p-1.png"));
}

TEST_F(RunTest, InterruptedWatchLeavesTheJobAlone) {
  renderer_.hang = true;
  ASSERT_EQ(RunWithRenderer({"submit", "x"}), kExitDone);
  std::thread user([&] {
    while (!renderer_.AnyJobUnderWay()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    interrupt_.Request();
  });
  EXPECT_EQ(RunWithRenderer({"watch", "job-1"}), kExitInterrupted);
  user.join();
  EXPECT_EQ(renderer_.state("job-1"), "JOB_STATE_QUEUED");
}

TEST_F(RunTest, SubmitsListsWatchesFetchesAndCancels) {
  ASSERT_EQ(RunWithRenderer({"submit", "x", "--width", "16", "--height", "16", "--client", "me", "--priority", "5"}),
            kExitDone);
  EXPECT_EQ(out_.str(), "job-1\n");
  ASSERT_EQ(RunWithRenderer({"submit", "y", "--seed", "3", "--json"}), kExitDone);
  EXPECT_EQ(json::parse(out_.str())["id"], "job-2");
  EXPECT_EQ(json::parse(out_.str())["seed"], 3);

  ASSERT_EQ(RunWithRenderer({"cancel", "job-2"}), kExitDone);
  EXPECT_EQ(out_.str(), "job-2 cancelled\n");
  ASSERT_EQ(RunWithRenderer({"watch", "job-1"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str().rfind("job-1 done\n", 0), 0u);
  ASSERT_EQ(RunWithRenderer({"fetch", "job-1", "--output", folder_ / "f.png"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), (folder_ / "f.png") + "\n");
  EXPECT_EQ(err_.str(), "") << "nothing was followed: the job had ended";
  EXPECT_EQ(DecodePng(ReadBoundedFile(folder_ / "f.png", 1 << 20)).picture.width, 16);

  ASSERT_EQ(RunWithRenderer({"jobs", "--json"}), kExitDone);
  const json jobs = json::parse(out_.str());
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0]["id"], "job-2");
  EXPECT_EQ(jobs[0]["state"], "cancelled");
  EXPECT_EQ(jobs[1]["state"], "done");
  EXPECT_EQ(jobs[1]["client"], "me");
  EXPECT_EQ(jobs[1]["prompt"], "x");
  EXPECT_EQ(jobs[1]["step"], 9);
  EXPECT_EQ(jobs[1]["steps"], 9);
  EXPECT_EQ(jobs[1]["error"], "");
  ASSERT_EQ(RunWithRenderer({"jobs"}), kExitDone);
  EXPECT_NE(out_.str().find("job-1  done"), std::string::npos) << out_.str();
}

TEST_F(RunTest, ListsEveryActiveJobAndSaysHowManyOthersAreLeftOut) {
  renderer_.AddOldJobs(1005, v1::JOB_STATE_FAILED);
  renderer_.AddOldJobs(1, v1::JOB_STATE_READY);  // the oldest of all
  ASSERT_EQ(RunWithRenderer({"submit", "x"}), kExitDone);
  ASSERT_EQ(RunWithRenderer({"jobs", "--json"}), kExitDone);
  const json jobs = json::parse(out_.str());
  ASSERT_EQ(jobs.size(), 1002u);
  EXPECT_EQ(jobs.front()["id"], "job-1");
  EXPECT_EQ(jobs[1]["id"], "id-1004");
  EXPECT_EQ(jobs.back()["id"], "id-0000");
  EXPECT_EQ(jobs.back()["state"], "ready");
  EXPECT_EQ(err_.str(), "older jobs that have ended are not shown; --limit shows more\n");
}

TEST_F(RunTest, FailsForAnUnknownJob) {
  EXPECT_EQ(RunWithRenderer({"watch", "nope"}), kExitFailed);
  ExpectOneLineWith("no job nope");
  EXPECT_EQ(RunWithRenderer({"cancel", "nope"}), kExitFailed);
}

TEST_F(RunTest, ShowsTheNodes) {
  renderer_.has_refused_encoder = true;
  ASSERT_EQ(RunWithRenderer({"nodes", "--json"}), kExitDone);
  const json nodes = json::parse(out_.str());
  EXPECT_EQ(nodes["renderer"]["cap_feat_dim"], 2);
  EXPECT_EQ(nodes["encoders"][0]["width"], 2);
  EXPECT_EQ(nodes["encoders"][0]["state"], "up");
  EXPECT_EQ(nodes["encoders"][0]["in_flight"], 3);
  EXPECT_EQ(nodes["encoders"][1]["state"], "refused");
  EXPECT_EQ(nodes["conditioning_store"],
            json::parse(R"({"memory_hits": 4, "disk_hits": 5, "misses": 6, "damaged": 7, "disk_failures": 8,
                            "last_failure": "disk full", "memory_bytes": 1500000, "disk_bytes": 2600000,
                            "entries": 9})"));
  ASSERT_EQ(RunWithRenderer({"nodes"}), kExitDone);
  EXPECT_EQ(nodes["state_folder"], json::parse(R"({"free_bytes": 7000000000, "problem": ""})"));
  EXPECT_NE(out_.str().find("encoder 10.0.0.1:1"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("  state folder 7000.0 MB free\n"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find(", encodes 3 now\n"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("encoder 10.0.0.2:1  refused: another model\n"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("9 stored, 1.5 MB in memory, 2.6 MB on disk; hits 4 in memory, 5 on disk, 6 misses, "
                            "7 damaged files; the disk refused 8 times: disk full\n"),
            std::string::npos)
      << out_.str();
}

TEST_F(RunTest, DoctorNamesMissingProgramsAndPartsOfACheckpoint) {
  std::filesystem::create_directory(folder_ / "model");
  EXPECT_EQ(Run({"doctor", "--model-path", folder_ / "model", "--json"}), kExitFailed);
  const json report = json::parse(out_.str());
  EXPECT_EQ(report["ok"], false);
  std::map<std::string, bool> ok;
  for (const json& check : report["checks"]) ok[check["what"]] = check["ok"];
  EXPECT_FALSE(ok.at("diptych-encoderd"));
  EXPECT_FALSE(ok.at("tokenizer"));
  EXPECT_FALSE(ok.at("transformer"));
  EXPECT_TRUE(ok.at("processor"));
  EXPECT_EQ(err_.str(), "diptych: error: 6 problems found\n");
}

TEST_F(RunTest, DoctorFindsAHealthyRenderer) {
  for (const char* name : {"diptych-encoderd", "diptych-renderd"}) {
    std::ofstream(folder_ / name) << "#!/bin/sh\n";
    std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
  }
  EXPECT_EQ(RunWithRenderer({"doctor"}), kExitDone) << out_.str();
  EXPECT_EQ(out_.str().find("PROBLEM"), std::string::npos) << out_.str();
  renderer_.state_folder_problem = "only 3 MiB are free";
  EXPECT_EQ(RunWithRenderer({"doctor"}), kExitFailed);
  EXPECT_NE(out_.str().find("PROBLEM  state folder     only 3 MiB are free\n"), std::string::npos) << out_.str();
  EXPECT_EQ(RunWithRenderer({"nodes"}), kExitDone);
  EXPECT_NE(out_.str().find("  state folder PROBLEM: only 3 MiB are free\n"), std::string::npos) << out_.str();
  EXPECT_EQ(Run({"doctor", "--render", "127.0.0.1:1", "--timeout", "2"}), kExitFailed);
}

TEST_F(RunTest, FindsOutBeforeItSubmitsThatThePictureCannotBeWritten) {
  WriteFileAtomically(folder_ / "file", "x");
  for (const std::string& output :
       {std::string("/proc/p.png"), std::string("/proc/new/p.png"), folder_ / "file/p.png"}) {
    EXPECT_EQ(RunWithRenderer({"generate", "a cat", "--output", output}), kExitFailed);
    ExpectOneLineWith("cannot ");
  }
  EXPECT_TRUE(renderer_.specs().empty());
}

TEST_F(RunTest, WritesThroughLinksAndIntoDevicesInsteadOfTakingTheirPlace) {
  namespace fs = std::filesystem;
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  WriteFileAtomically(folder_ / "target.png", "old");
  fs::create_symlink("target.png", folder_ / "link.png");
  fs::create_symlink("new.png", folder_ / "dangling.png");
  fs::create_symlink("/dev/null", folder_ / "null.png");
  std::string piped;
  std::thread reader([&] {
    std::ifstream pipe(folder_ / "pipe", std::ios::binary);
    piped.assign(std::istreambuf_iterator<char>(pipe), {});
  });
  for (const char* name : {"pipe", "link.png", "dangling.png", "null.png"}) {
    EXPECT_EQ(RunWithRenderer({"generate", "a cat", "--seed", "1", "--output", folder_ / name}), kExitDone)
        << err_.str();
  }
  reader.join();
  EXPECT_TRUE(fs::is_fifo(folder_ / "pipe"));
  for (const char* name : {"link.png", "dangling.png", "null.png"}) EXPECT_TRUE(fs::is_symlink(folder_ / name)) << name;
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(ReadBoundedFile(folder_ / "target.png", 1 << 20), piped);
  EXPECT_EQ(ReadBoundedFile(folder_ / "new.png", 1 << 20), piped);
}

TEST_F(RunTest, SaysWhereAFlagMustStand) {
  ExpectUsage({"generate", "--", "--x", "--render", "127.0.0.1:1"},
              "flag --render stands behind --, where everything is an argument; put it before");
  ExpectUsage({"generate", "-a cat"}, "\"-a cat\" looks like a flag; put the flags first, then -- and this argument");
}

TEST_F(RunTest, SaysHowToGetAPictureThatCouldNotBeWrittenInTheEnd) {
  renderer_.delay = std::chrono::milliseconds(600);  // the job is accepted, and cannot be watched yet
  std::thread removing([&] {
    while (renderer_.specs().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::filesystem::remove_all(folder_ / "pictures");
  });
  EXPECT_EQ(RunWithRenderer({"generate", "a cat", "--output", folder_ / "pictures/p.png"}), kExitFailed);
  removing.join();
  EXPECT_NE(err_.str().find("cannot write "), std::string::npos) << err_.str();
  EXPECT_NE(err_.str().find("; the renderer keeps it: diptych fetch job-1 --output FILE.png\n"), std::string::npos)
      << err_.str();
}

TEST_F(RunTest, UploadsEmbeddingsOnlyOfSoundFiles) {
  WriteFileAtomically(folder_ / "e.safetensors", "broken");
  EXPECT_EQ(
      RunWithRenderer({"generate", "--load-embeddings", folder_ / "e.safetensors", "--output", folder_ / "p.png"}),
      kExitFailed);
  ExpectOneLineWith("e.safetensors");
  EXPECT_TRUE(renderer_.specs().empty());
}

}  // namespace
}  // namespace diptych
