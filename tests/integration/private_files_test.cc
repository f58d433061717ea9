// What holds a prompt or a picture is its owner's alone, whatever the umask and the folders were.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/integration/support/daemon.h"
#include "tests/integration/support/user.h"

namespace diptych::integration {
namespace {

namespace fs = std::filesystem;

const Arguments kSmall = {"--width", "64", "--height", "64", "--steps", "2", "--seed", "7"};

mode_t ModeOf(const fs::path& path) {
  struct stat facts {};
  return lstat(path.c_str(), &facts) == 0 ? facts.st_mode & 07777 : 0;
}

// The folder and all in it that others may read or write.
std::vector<std::string> OpenToOthers(const fs::path& folder) {
  std::vector<std::string> open;
  if ((ModeOf(folder) & 077) != 0) open.push_back(folder.string());
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if ((ModeOf(entry.path()) & 077) != 0) open.push_back(entry.path().string());
  }
  return open;
}

class PrivateFiles : public testing::TestWithParam<mode_t> {
 protected:
  PrivateFiles() : former_(umask(GetParam())) {}
  ~PrivateFiles() override { umask(former_); }

 private:
  const mode_t former_;
};

TEST_P(PrivateFiles, AJobLeavesNothingInTheStateFolderThatOthersCanRead) {
  const Scratch scratch;
  const fs::path state = scratch / "state";
  fs::create_directories(state / "conditioning-store");  // an operator's, by the umask
  Daemon encoder = StartEncoder(ToyPath("toy_a"), {"--threads", "1"});
  Daemon renderer = StartRenderer(ToyPath("toy_a"), encoder.address(), state, {"--threads", "1"});
  const User user(renderer.address());
  const Outcome painted =
      user.Run(Arguments{"generate", "nobody must read this", "-o", scratch / "out/a.png"} + kSmall);
  ASSERT_EQ(painted.status, 0) << painted.err;
  const std::string running = user.Submit({"--width", "256", "--height", "256", "--steps", "500"});
  Await("a step, and so a checkpoint", [&] { return user.Job(running)["step"] >= 2; });
  EXPECT_EQ(OpenToOthers(state), std::vector<std::string>{});
  EXPECT_EQ(ModeOf(scratch / "out/a.png"), 0666u & ~GetParam()) << "the user's own, where the user wants it";
  ASSERT_EQ(renderer.Stop(), 0);
  EXPECT_EQ(OpenToOthers(state), std::vector<std::string>{}) << "nor when it has stopped";
}

TEST_P(PrivateFiles, SavedEmbeddingsAreTheirOwnersAlone) {
  const Scratch scratch;
  const Outcome saved = Diptych({"generate", "nobody must read this", "--model-path", ToyPath("toy_a"), "--threads",
                                 "1", "--save-embeddings", scratch / "new/e.safetensors"});
  ASSERT_EQ(saved.status, 0) << saved.err;
  EXPECT_EQ(ModeOf(scratch / "new/e.safetensors"), 0600u);
  EXPECT_EQ(OpenToOthers(scratch / "new"), std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(Umasks, PrivateFiles, testing::Values(0, 022));

}  // namespace
}  // namespace diptych::integration
