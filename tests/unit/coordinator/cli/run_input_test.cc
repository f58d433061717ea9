// Where inputs come from: pipes, standard input and files, through the whole command line.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "coordinator/client/saved_embeddings.h"
#include "coordinator/files.h"
#include "tests/support/bytes_read.h"
#include "tests/unit/coordinator/cli/run_fixture.h"

namespace diptych {
namespace {

// What a shell's <(...) gives: a pipe by its number, with the bytes in it.
class Piped {
 public:
  explicit Piped(std::string bytes) {
    EXPECT_EQ(pipe(ends_), 0);
    writer_ = std::thread([this, bytes = std::move(bytes)] {
      for (size_t at = 0; at < bytes.size();) {
        const ssize_t count = write(ends_[1], bytes.data() + at, bytes.size() - at);
        if (count <= 0) break;
        at += static_cast<size_t>(count);
      }
      close(ends_[1]);
    });
  }
  ~Piped() {
    writer_.join();
    close(ends_[0]);
  }
  std::string name() const { return "/dev/fd/" + std::to_string(ends_[0]); }
  int fd() const { return ends_[0]; }

 private:
  int ends_[2] = {-1, -1};
  std::thread writer_;
};

class RunInputTest : public RunTest {
 protected:
  std::string PromptOf(size_t job) { return renderer_.specs().at(job).prompt().user(); }
};

TEST_F(RunInputTest, ADeviceWithoutEndIsRefusedByItsFirstBytes) {
  for (const auto& [option, piece] : {std::pair("--load-embeddings", "/dev/zero: its header does not begin with {"),
                                      std::pair("--from-picture", "/dev/zero: these bytes are neither a PNG")}) {
    const int64_t before = BytesRead();
    EXPECT_NE(RunWithRenderer({"generate", option, "/dev/zero", "--output", folder_ / "p.png"}), kExitDone);
    EXPECT_NE(err_.str().find(piece), std::string::npos) << err_.str();
    EXPECT_LT(BytesRead() - before, 1 << 20) << option;
  }
}

TEST_F(RunInputTest, EveryInputMayBeAPipe) {
  const std::string picture = folder_ / "p.png";
  ASSERT_EQ(RunWithRenderer(Generate(picture)), kExitDone) << err_.str();

  const Piped prompts("a red star\n");
  EXPECT_EQ(RunWithRenderer({"submit", "--prompts", prompts.name()}), kExitDone) << err_.str();
  EXPECT_EQ(PromptOf(1), "a red star");

  const Piped conversation(R"([{"role": "user", "content": "a red star"}])");
  EXPECT_EQ(RunWithRenderer({"submit", "--conversation", conversation.name()}), kExitDone) << err_.str();
  EXPECT_FALSE(renderer_.specs().at(2).prompt().conversation_json().empty());

  const Piped again(ReadBoundedFile(picture, 1 << 20));
  EXPECT_EQ(RunWithRenderer({"submit", "--from-picture", again.name()}), kExitDone) << err_.str();
  EXPECT_EQ(PromptOf(3), "a cat");

  SavedEmbeddings saved;
  saved.conditioning.header.rows = 2;
  saved.conditioning.header.width = 4;
  saved.conditioning.header.token_count = 2;
  saved.conditioning.header.layer = -2;
  saved.conditioning.bytes.resize(16);
  SaveEmbeddings(folder_ / "e.safetensors", saved);
  const Piped embeddings(ReadBoundedFile(folder_ / "e.safetensors", 1 << 20));
  EXPECT_EQ(RunWithRenderer({"submit", "a label", "--load-embeddings", embeddings.name()}), kExitDone) << err_.str();
  EXPECT_EQ(PromptOf(4), "a label");

  const Piped text("a red\nstar\n");
  EXPECT_EQ(RunWithRenderer({"submit", "--prompt-file", text.name()}), kExitDone) << err_.str();
  EXPECT_EQ(PromptOf(5), "a red\nstar");
}

TEST_F(RunInputTest, EveryInputMayBeStandardInput) {
  const std::string picture = folder_ / "p.png";
  ASSERT_EQ(RunWithRenderer(Generate(picture)), kExitDone) << err_.str();
  size_t job = 0;
  const auto submit = [&](const std::string& bytes, std::vector<std::string> arguments) {
    const Piped piped(bytes);
    input_ = piped.fd();
    arguments.insert(arguments.begin(), "submit");
    EXPECT_EQ(RunWithRenderer(arguments), kExitDone) << err_.str();
    return renderer_.specs().at(++job).prompt();
  };
  EXPECT_EQ(submit("a red star\n", {"-"}).user(), "a red star");
  EXPECT_EQ(submit("\xEF\xBB\xBF two\r\nlines\r\n", {"-"}).user(), " two\r\nlines");
  EXPECT_EQ(submit("a red star", {"--prompt-file", "-"}).user(), "a red star");
  EXPECT_EQ(submit("a red star\n", {"--prompts", "-"}).user(), "a red star");
  EXPECT_EQ(submit("\"a red star\"", {"--conversation", "-"}).conversation_json(), "\"a red star\"");
  EXPECT_EQ(submit(ReadBoundedFile(picture, 1 << 20), {"--from-picture", "-"}).user(), "a cat");
}

TEST_F(RunInputTest, AnInterruptEndsTheWaitForAFifosWriter) {
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  std::thread user([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    interrupt_.Request();
  });
  EXPECT_EQ(RunWithRenderer({"submit", "--from-picture", fifo}), kExitInterrupted) << err_.str();
  user.join();
}

TEST_F(RunInputTest, SaysWhatAnInputIsThatCannotBeOne) {
  const std::string folder = folder_.path.string();
  for (const char* flag : {"--prompts", "--conversation", "--from-picture", "--prompt-file"}) {
    EXPECT_NE(RunWithRenderer({"submit", flag, folder}), kExitDone) << flag;
    ExpectOneLineWith(folder + " is a folder, not a file");
  }
  WriteFileAtomically(folder_ / "utf16", std::string("\xFF\xFE"
                                                     "a\0",
                                                     4));
  for (const char* flag : {"--prompts", "--conversation", "--prompt-file"}) {
    EXPECT_NE(RunWithRenderer({"submit", flag, folder_ / "utf16"}), kExitDone) << flag;
    ExpectOneLineWith("is UTF-16 text");
  }
  WriteFileAtomically(folder_ / "blank", " \n\n");
  EXPECT_EQ(RunWithRenderer({"submit", "--prompt-file", folder_ / "blank"}), kExitUsage);
  ExpectOneLineWith("holds no prompt");
}

// Its text is gone when the daemons would read it, and their settings with it.
TEST_F(RunInputTest, RefusesAPipeForTheConfigurationOfAPrivateRun) {
  const Piped config("[default.log]\nlevel = \"info\"\n");
  ExpectUsage({"generate", "a cat", "--model-path", folder_.path.string(), "--config", config.name()},
              "is a pipe, which the daemons of this run cannot read again");
  const Piped again("[default.log]\nlevel = \"info\"\n");
  EXPECT_EQ(RunWithRenderer({"submit", "a cat", "--config", again.name()}), kExitDone) << err_.str();
}

TEST_F(RunInputTest, RefusesAPromptGivenTwiceAndStandardInputReadTwice) {
  ExpectUsage({"submit", "a cat", "--prompt-file", "f", "--render", renderer_.address},
              "PROMPT and --prompt-file exclude each other");
  ExpectUsage({"submit", "--prompts", "f", "--prompt-file", "f", "--render", renderer_.address},
              "--prompts and --prompt-file exclude each other");
  ExpectUsage({"submit", "-", "--from-picture", "-", "--render", renderer_.address},
              "PROMPT and --from-picture are both \"-\"");
  for (const std::string flag : {"--img2img", "--inpaint"}) {
    ExpectUsage({"submit", "a cat", flag, "-", "--mask", "-", "--render", renderer_.address},
                flag + " and --mask are both \"-\"");
  }
}

TEST_F(RunInputTest, RepeatsAPictureThatWentThroughAnotherProgram) {
  ASSERT_EQ(RunWithRenderer(Generate(folder_ / "p.png")), kExitDone) << err_.str();
  std::string png = ReadBoundedFile(folder_ / "p.png", 1 << 20);
  // The receipt behind the pixels, as some editors write texts.
  const size_t begin = png.find("tEXtdiptych") - 4, end = png.find("tEXtparameters") - 4;
  const std::string chunk = png.substr(begin, end - begin);
  png.erase(begin, end - begin);
  png.insert(png.find("IEND") - 4, chunk);
  WriteFileAtomically(folder_ / "edited.png", png);
  EXPECT_EQ(RunWithRenderer({"submit", "--from-picture", folder_ / "edited.png"}), kExitDone) << err_.str();
  EXPECT_EQ(PromptOf(1), "a cat");
}

TEST_F(RunInputTest, NamesOfEveryKindAreNames) {
  for (const std::string& name :
       {std::string(251, 'x') + ".png", std::string("\xff\xfe.png"), std::string("a\nb.png")}) {
    EXPECT_EQ(RunWithRenderer(Generate(folder_ / name)), kExitDone) << err_.str();
    EXPECT_TRUE(std::filesystem::exists(folder_ / name));
    EXPECT_EQ(RunWithRenderer({"submit", "--from-picture", folder_ / name}), kExitDone) << err_.str();
  }
  const std::filesystem::path here = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path);
  for (const char* flag : {"--output=-v.png", "-o=-w.png"}) {
    EXPECT_EQ(RunWithRenderer({"generate", "a cat", "--width", "16", "--height", "16", "--steps", "1", flag}),
              kExitDone)
        << err_.str();
  }
  EXPECT_TRUE(std::filesystem::exists("-v.png"));
  std::filesystem::current_path(here);
}

}  // namespace
}  // namespace diptych
