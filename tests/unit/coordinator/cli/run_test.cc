// The program from its arguments to its exit status, against a renderer in this process.
#include "coordinator/cli/run.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "coordinator/cli/command.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/files.h"
#include "coordinator/input.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/cli/run_fixture.h"

namespace diptych {
namespace {

using nlohmann::json;

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

TEST_F(RunTest, FailsWhenItsResultsCannotBeWritten) {
  out_.setstate(std::ios::badbit);  // a full disk
  EXPECT_EQ(RunWithRenderer({"nodes"}), kExitFailed);
  ExpectOneLineWith("the results could not be written to standard output");
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
  ExpectUsage({"generate", "--prompt", "a red cat"}, "the prompt has no flag");
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
  ExpectUsage({"watch", "--render", renderer_.address}, "ID is missing");
  ExpectUsage({"tokens", "x"}, "--model-path");
}

TEST_F(RunTest, KnowsWhatUsersOfOtherProgramsMean) {
  const std::vector<std::pair<std::string, std::string>> commands = {
      {"txt2img", "diptych generate \"PROMPT\""},
      {"run", "diptych generate \"PROMPT\""},
      {"img2img", "do not exist yet"},
      {"list", "diptych jobs"},
      {"ls", "diptych jobs"},
      {"ps", "diptych jobs"},
      {"queue", "diptych jobs"},
      {"status", "diptych nodes"},
      {"serve", "diptych-encoderd and diptych-renderd"},
      {"delete", "diptych rm ID"},
      {"stop", "diptych cancel ID"},
      {"TXT2IMG", "diptych generate"},
      {"img-gen", "diptych generate"},
      {"download", "diptych fetch ID"},
      {"logs", "diptych watch ID"},
      {"unpause", "diptych resume"},
      {"check", "diptych doctor"},
  };
  for (const auto& [name, piece] : commands) ExpectUsage({name, "x"}, piece);
  EXPECT_EQ(Run({"help", "generate"}), kExitDone);
  ExpectUsage({"help", "ps"}, "diptych jobs lists jobs");
  const std::vector<std::pair<std::vector<std::string>, std::string>> flags = {
      {{"generate", "x", "-ngl", "99"}, "unknown flag -ngl; each part has a device of its own"},
      {{"submit", "x", "-ngl", "99"}, "devices are chosen where the daemons are started"},
      {{"submit", "x", "--n-gpu-layers", "99"}, "devices are chosen where the daemons are started"},
      {{"jobs", "--device", "cuda"}, "devices are chosen where the daemons are started"},
      {{"generate", "x", "--sampler", "euler"}, "belong to the model"},
      {{"nodes", "--sampler", "euler"}, "it belongs to a picture"},
      {{"submit", "x", "--model", "z.gguf"}, "the model is chosen where the daemons are started"},
      {{"submit", "x", "-m", "z.gguf"}, "the model is chosen where the daemons are started"},
      {{"generate", "x", "--ckpt", "z"}, "--model-path, a checkpoint folder"},
      {{"generate", "x", "-fa"}, "does not exist in Diptych"},
      {{"generate", "x", "--n-threads", "4"}, "--threads"},
      {{"generate", "x", "--temp", "4"}, "language models"},
  };
  for (const auto& [arguments, piece] : flags) ExpectUsage(arguments, piece);
}

TEST_F(RunTest, SaysThatAModelIsMissingBeforeAnythingIsStarted) {
  for (const char* name : {"diptych-encoderd", "diptych-renderd"}) std::ofstream(folder_ / name) << "#!/bin/false\n";
  const auto error = [&](const std::vector<std::string>& arguments) {
    EXPECT_EQ(Run(arguments), kExitFailed);
    EXPECT_EQ(out_.str(), "");
    return nlohmann::json::parse(err_.str())["error"];  // and nothing beside it
  };
  const std::string nowhere = folder_ / "nowhere";
  nlohmann::json said = error({"generate", "x", "--json", "--model-path", nowhere});
  EXPECT_EQ(said["code"], "NOT_FOUND");
  EXPECT_EQ(said["message"], "there is no folder " + nowhere);
  said = error({"generate", "x", "--json", "--model-path", nowhere, "--save-embeddings", folder_ / "e.safetensors"});
  EXPECT_EQ(said["code"], "NOT_FOUND");
  std::filesystem::create_directory(folder_ / "empty");
  said = error({"generate", "x", "--json", "--model-path", folder_ / "empty"});
  EXPECT_EQ(said["code"], "INVALID_ARGUMENT");
  std::filesystem::create_directories(folder_ / "model/tokenizer");
  said = error({"generate", "x", "--json", "--model-path", folder_ / "model", "--vae-path", nowhere});
  EXPECT_EQ(said["code"], "NOT_FOUND");
  std::filesystem::remove(folder_ / "diptych-renderd");
  EXPECT_EQ(error({"generate", "x", "--json", "--model-path", folder_ / "model"})["code"], "NOT_FOUND");
}

TEST_F(RunTest, FitsWhatIsFetchedToTheSizeThatWasAskedFor) {
  EXPECT_EQ(RunWithRenderer({"submit", "x", "--size", "50x30", "--fit", "crop", "--steps", "1"}), kExitDone);
  EXPECT_EQ(renderer_.specs().at(0).width(), 64);
  EXPECT_EQ(renderer_.specs().at(0).height(), 32);
  EXPECT_NE(err_.str().find("64x32 is painted; diptych fetch ID --fit crop --size 50x30 makes a file of the size"),
            std::string::npos)
      << err_.str();
  EXPECT_EQ(RunWithRenderer({"fetch", "job-1", "--output", folder_ / "p.png", "--fit", "crop", "--size", "50x30"}),
            kExitDone)
      << err_.str();
  const PngFile file = DecodePng(ReadBoundedFile(folder_ / "p.png", 1 << 20));
  EXPECT_EQ(file.picture.width, 50);
  EXPECT_EQ(file.picture.height, 30);
  ExpectUsage({"fetch", "job-1", "--size", "50x30", "--render", renderer_.address}, "--fit crop or --fit pad");
  ExpectUsage({"fetch", "job-1", "--fit", "pad", "--render", renderer_.address}, "needs the size of the file");
}

TEST_F(RunTest, FitsNarrowTerminals) {
  renderer_.AddOldJobs(3, v1::JOB_STATE_DONE);
  renderer_.state_folder_problem = "the disk is full and nothing more can be written there until somebody makes room";
  for (const size_t columns : {40, 47, 60, 79}) {
    out_columns_ = [columns] { return columns; };
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"--help"},
                                               {"generate", "--help"},
                                               {"jobs", "--help"},
                                               {"doctor", "--help"},
                                               {"nodes", "--render", renderer_.address},
                                               {"jobs", "--render", renderer_.address},
                                               {"doctor", "--render", renderer_.address, "--config", "none"}}) {
      Run(arguments);
      std::istringstream lines(out_.str());
      size_t count = 0;
      for (std::string line; std::getline(lines, line); ++count) {
        const std::string content = line.substr(std::min(line.find_first_not_of(' '), line.size()));
        const bool one_word = content.find(' ') == std::string::npos;  // a path, a fingerprint
        EXPECT_TRUE(TextColumns(line) <= columns || one_word) << columns << ": " << line;
      }
      EXPECT_GT(count, 0u);
    }
  }
}

TEST_F(RunTest, NamesTheNearestLegalSizes) {
  ExpectUsage({"generate", "x", "--width", "1000", "--render", renderer_.address}, "the nearest are 992 and 1008");
  ExpectUsage({"generate", "x", "--height", "5", "--render", renderer_.address}, "a whole number from 16 to");
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
  const json picture = json::parse(out_.str());
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
  EXPECT_EQ(nodes["renderer"]["limits"],
            json::parse(R"({"pixels": 1048576, "steps": null, "prompt_tokens": null, "client_pictures": 20})"));
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
  EXPECT_NE(out_.str().find("  allows       at most 1048576 pixels, 20 waiting pictures a client\n"), std::string::npos)
      << out_.str();
  EXPECT_NE(out_.str().find("  state folder 7000.0 MB free\n"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find(", encodes 3 now\n"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("encoder 10.0.0.2:1  refused: another model\n"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("9 stored, 1.5 MB in memory, 2.6 MB on disk; hits 4 in memory, 5 on disk, 6 misses, "
                            "7 damaged files; the disk refused 8 times: disk full\n"),
            std::string::npos)
      << out_.str();
}

TEST_F(RunTest, DoctorNamesMissingProgramsAndPartsOfACheckpoint) {
  std::filesystem::create_directories(folder_ / "model/text_encoder");
  EXPECT_EQ(Run({"doctor", "--model-path", folder_ / "model", "--json"}), kExitFailed);
  const json report = json::parse(out_.str());
  EXPECT_EQ(report["ok"], false);
  std::map<std::string, bool> ok;
  for (const json& check : report["checks"]) ok[check["what"]] = check["ok"];
  EXPECT_FALSE(ok.at("diptych-encoderd"));
  EXPECT_FALSE(ok.at("tokenizer"));
  EXPECT_FALSE(ok.at("transformer"));
  EXPECT_TRUE(ok.at("processor"));
  EXPECT_EQ(json::parse(err_.str())["error"]["message"], "6 problems found");
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
  EXPECT_NE(out_.str().find("start diptych-renderd there, or correct --render"), std::string::npos) << out_.str();
}

TEST_F(RunTest, DoctorGivesOneAdviceWhereEncryptionIsMissing) {
  EXPECT_EQ(Run({"doctor", "--render", "192.0.2.1:1"}), kExitFailed);
  EXPECT_NE(out_.str().find("--tls-ca encrypt it"), std::string::npos) << out_.str();
  EXPECT_EQ(out_.str().find("start diptych-renderd there"), std::string::npos) << out_.str();
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

TEST_F(RunTest, OverwritesPicturesAndEmptyFilesAlone) {
  WriteFileAtomically(folder_ / "notes", "buy milk");
  WriteFileAtomically(folder_ / "empty", "");
  EXPECT_EQ(RunWithRenderer({"generate", "a cat", "--output", folder_ / "notes"}), kExitFailed);
  ExpectOneLineWith("notes is there already and is no picture; it is not overwritten, name another");
  EXPECT_TRUE(renderer_.specs().empty());
  EXPECT_EQ(ReadBoundedFile(folder_ / "notes", 100), "buy milk");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(RunWithRenderer({"generate", "a cat", "--output", folder_ / "empty"}), kExitDone) << err_.str();
  }
}

TEST_F(RunTest, DoctorSaysThatThereIsNoSuchCheckpoint) {
  EXPECT_EQ(Run({"doctor", "--model-path", folder_ / "nowhere"}), kExitFailed);
  EXPECT_NE(out_.str().find("there is no folder " + (folder_ / "nowhere")), std::string::npos) << out_.str();
  EXPECT_EQ(out_.str().find("download"), std::string::npos) << out_.str();
}

TEST_F(RunTest, WritesThroughLinksAndIntoDevicesInsteadOfTakingTheirPlace) {
  namespace fs = std::filesystem;
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  WriteFileAtomically(folder_ / "target.png", "\x89PNG\r\n\x1a\nold");
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
