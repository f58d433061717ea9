// Where settings come from, with the real programs: home folder, environment, configuration file, other programs'
// flags.
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

namespace fs = std::filesystem;

// In a working folder of its own, where a wrong reading of "~" would leave a folder of that name.
class SettingsOfPrograms : public testing::Test {
 protected:
  SettingsOfPrograms() : before_(fs::current_path()) {
    for (const char* name : {"home", "work"}) fs::create_directory(scratch_ / name);
    fs::current_path(scratch_ / "work");
  }
  ~SettingsOfPrograms() override { fs::current_path(before_); }

  Process::Environment Home(Process::Environment more = {}) const {
    more.emplace("HOME", scratch_ / "home");
    more.emplace("XDG_CONFIG_HOME", "");
    return more;
  }

  const Scratch scratch_;

 private:
  const fs::path before_;
};

const Arguments kSmall = {"--width", "64", "--height", "64", "--steps", "1", "--seed", "1"};

Arguments Generate(const Arguments& more) {
  Arguments arguments = {"generate", "x"};
  arguments.insert(arguments.end(), kSmall.begin(), kSmall.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_F(SettingsOfPrograms, ATildeIsTheHomeFolderAndNeverAFolderOfThatName) {
  fs::create_directory_symlink(ToyPath("toy_a"), scratch_ / "home/model");
  const Outcome made = Diptych(Generate({"--model-path=~/model", "--output=~/pictures/x.png"}), Home());
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_TRUE(fs::exists(scratch_ / "home/pictures/x.png"));

  WriteFile(scratch_ / "home/c.toml",
            "[default]\nmodel_path = \"~/model\"\n[default.render]\nstate_dir = \"~/state\"\nthreads = 1\n");
  Daemon renderer("diptych-renderd", {"--config", "~/c.toml"}, "127.0.0.1:0", Home());
  EXPECT_TRUE(fs::exists(scratch_ / "home/state/jobs.sqlite"));

  const Outcome variable =
      Diptych(Generate({}), Home({{"DIPTYCH_MODEL_PATH", "~/model"}, {"DIPTYCH_OUTPUT", "~/pictures/y.png"}}));
  EXPECT_EQ(variable.status, 0) << variable.err;
  EXPECT_TRUE(fs::exists(scratch_ / "home/pictures/y.png"));

  WriteFile(scratch_ / "home/p.jsonl", R"({"prompt": "x", "output": "~/pictures/z.png"})");
  Arguments lines = {"generate", "--prompts=~/p.jsonl", "--model-path=~/model"};
  lines.insert(lines.end(), kSmall.begin(), kSmall.end());
  const Outcome list = Diptych(lines, Home());
  EXPECT_EQ(list.status, 0) << list.err;
  EXPECT_TRUE(fs::exists(scratch_ / "home/pictures/z.png"));
  EXPECT_FALSE(fs::exists("./~"));
  EXPECT_TRUE(fs::is_empty(fs::current_path()));
}

TEST_F(SettingsOfPrograms, AnUnknownUsersHomeIsRefusedAndNothingIsMade) {
  const Outcome refused = Diptych(Generate({"--model-path", ToyPath("toy_a"), "--output=~nobody-of-that-name/x.png"}));
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.err.find("--output: \"~nobody-of-that-name/x.png\": there is no user"), std::string::npos)
      << refused.err;
  EXPECT_TRUE(fs::is_empty(fs::current_path()));
}

TEST_F(SettingsOfPrograms, TheUsersOwnFileIsFoundAndDaemonsOfTheRunReadTheSameOne) {
  fs::create_directories(scratch_ / "home/.config/diptych");
  WriteFile(scratch_ / "home/.config/diptych/diptych.toml",
            "[default]\nmodel_path = \"" + ToyPath("toy_a") + "\"\n[default.generation]\nwidth = 96\n");
  const Process::Environment found = Home({{"DIPTYCH_CONFIG", ""}, {"DIPTYCH_STEPS", "1"}, {"DIPTYCH_HEIGHT", "64"}});
  const Outcome made = Diptych({"generate", "x", "--output", "a.png", "--debug"}, found);
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_NE(made.out.find("96 x 64"), std::string::npos) << made.out;
  const std::string line = "configuration file " + (scratch_ / "home/.config/diptych/diptych.toml");
  EXPECT_NE(made.err.find(line + " (found there)"), std::string::npos) << made.err;
  EXPECT_NE(made.err.find(line + " (--config)"), std::string::npos) << made.err;  // a daemon's log

  const Outcome without = Diptych({"generate", "x", "--output", "a.png", "--config", "none"}, found);
  EXPECT_EQ(without.status, 2);
  EXPECT_NE(without.err.find("nobody to paint"), std::string::npos) << without.err;
}

// In one shell for both daemons: what concerns one of them has its own name, and a private run minds neither.
TEST_F(SettingsOfPrograms, VariablesOfADaemonDoNotDisturbAPrivateRun) {
  const std::string taken = FreeAddress();
  const Outcome made = Diptych(Generate({"--model-path", ToyPath("toy_a"), "--output", "a.png"}),
                               Home({{"DIPTYCH_LISTEN", taken},
                                     {"DIPTYCH_RENDERD_LISTEN", taken},
                                     {"DIPTYCH_METRICS_LISTEN", taken},
                                     {"DIPTYCH_STATE_DIR", scratch_ / "state"},
                                     {"DIPTYCH_ENCODER", "127.0.0.1:1"},
                                     {"DIPTYCH_THREADS", "1"},
                                     {"DIPTYCH_TORCH_DTYPE", "float32"}}));
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_FALSE(fs::exists(scratch_ / "state"));
}

TEST_F(SettingsOfPrograms, HabitsOfOtherProgramsGetAnAnswer) {
  struct Row {
    Arguments arguments;
    Arguments pieces;
  };
  const std::string model = ToyPath("toy_a");
  const std::vector<Row> rows = {
      {{"nodes", "--render", "http://127.0.0.1:7872"}, {"--render", "leave \"http://\" out: write 127.0.0.1:7872"}},
      {{"nodes", "--render", "::1:7872"}, {"[::1]:7872"}},
      {{"nodes", "--render", "127.0.0.1:1", "--insecure", "true"}, {"write --insecure=true"}},
      {{"generate", "x", "--model-path", model, "--tiled-vae", "on"}, {"write --tiled-vae=on"}},
      {{"generate", "x", "--model-path", model, "--seed", "-1"}, {"leave it out for a random seed"}},
      {{"generate", "x", "--model-path", model, "--cfg-scale", "4.5"}, {"--guidance-scale 3.5"}},
      {{"generate", "x", "--model-path", model, "--sampling-method", "euler"}, {"--steps and --shift"}},
      {{"generate", "x", "--model-path", model, "--state-dir", "s"},
       {"--state-dir", "it is a flag of diptych-renderd"}},
      {{"generate", "x", "--model-path", model, "-steps", "1"}, {"two dashes: --steps"}},
      {{"generate", "x", "--model-path", model, "--width", "1024x768"}, {"--size"}},
  };
  for (const Row& row : rows) {
    const Outcome outcome = Diptych(row.arguments, Home());
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    for (const std::string& piece : row.pieces) EXPECT_NE(outcome.err.find(piece), std::string::npos) << outcome.err;
  }
  EXPECT_TRUE(fs::is_empty(fs::current_path()));
}

TEST_F(SettingsOfPrograms, ShortFlagsAndTheLargestSeedArePaintedAsSaid) {
  const Outcome made = Diptych({"generate", "x", "-m", ToyPath("toy_a"), "-W", "64px", "-H", "96", "--steps", "1.0",
                                "-s", "18446744073709551615", "-o", "a.png"},
                               Home());
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_NE(made.out.find("64 x 96, seed 18446744073709551615"), std::string::npos) << made.out;
  const Outcome alias = Diptych(
      {"generate", "x", "-m", ToyPath("toy_a"), "--size", "64x96", "--steps", "1", "-s", "4294967295", "-o", "b.png"},
      Home());
  EXPECT_EQ(alias.status, 0) << alias.err;
  // The receipt is another, the pixels are the same: of a seed the noise takes the lower 32 bits.
  const std::string a = ReadFile("a.png"), b = ReadFile("b.png");
  EXPECT_NE(a, b);
  EXPECT_EQ(a.substr(a.find("IDAT")), b.substr(b.find("IDAT")));
  const Outcome again = Diptych({"generate", "--from-picture", "a.png", "-m", ToyPath("toy_a"), "-o", "c.png"}, Home());
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(ReadFile("c.png"), a);
}

}  // namespace
}  // namespace diptych::integration
