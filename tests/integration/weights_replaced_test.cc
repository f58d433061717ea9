// Weights that somebody writes into under a running daemon: no picture and no row of other weights under the old
// fingerprint, no end without a line, and no accepted job lost.
#include <filesystem>
#include <fstream>
#include <string>

#include "common/weights/safetensors.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"
#include "tests/integration/support/user.h"

namespace diptych::integration {
namespace {

namespace fs = std::filesystem;

constexpr char kTextWeights[] = "text_encoder/model.safetensors";
const Arguments kSmall = {"--width", "64", "--height", "64", "--steps", "2", "--seed", "7"};
constexpr char kDitWeights[] = "transformer/diffusion_pytorch_model.safetensors";

class WeightsReplaced : public ::testing::Test {
 protected:
  WeightsReplaced() { fs::copy(ToyPath("toy_a"), model_, fs::copy_options::recursive); }

  std::string File(const std::string& name) const { return model_ + "/" + name; }

  // Other weights of the same shape, written into the file that is there.
  void Overwrite(const std::string& name) const {
    const auto weights = SafetensorsFile::Open(File(name));
    const uint64_t size = fs::file_size(File(name));
    uint64_t data = 0;
    for (const auto& [tensor, entry] : weights->tensors()) data += entry.byte_count;
    std::fstream file(File(name), std::ios::binary | std::ios::in | std::ios::out);
    std::string bytes(data, '\0');
    file.seekg(static_cast<std::streamoff>(size - data));
    file.read(bytes.data(), static_cast<std::streamsize>(data));
    for (size_t i = 1; i < bytes.size(); i += 2) bytes[i] = static_cast<char>(bytes[i] ^ 0x80);
    file.seekp(static_cast<std::streamoff>(size - data));
    file.write(bytes.data(), static_cast<std::streamsize>(data));
    ASSERT_TRUE(file.flush().good());
  }

  void PutBack(const std::string& name) const {  // as cp does: into the same file
    const std::string bytes = ReadFile(ToyPath("toy_a") + "/" + name);
    std::fstream(File(name), std::ios::binary | std::ios::in | std::ios::out)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  // In the number format of the files, so that it computes with them where they are mapped.
  Daemon Encoder() const { return StartEncoder(model_, {"--torch-dtype", "float32"}); }
  Daemon Renderer(const std::string& encoder) const {
    return StartRenderer(model_, encoder, scratch_ / "state",
                         {"--conditioning-memory", "0", "--conditioning-disk", "0", "--torch-dtype", "float32"});
  }

  // What the receipt of a PNG says.
  static std::string FingerprintIn(const std::string& png, const std::string& key = "text_encoder_fingerprint") {
    const size_t at = png.find("\"" + key + "\":\"");
    return at == png.npos ? "" : png.substr(at + key.size() + 4, 64);
  }

  static void AwaitLine(const Daemon& daemon, const std::string& line) {
    Await(line, [&] { return daemon.Log().find(line) != std::string::npos; });
  }
  static void AwaitEnd(Daemon& daemon) {
    Await("end", [&] { return !daemon.IsRunning(); });
  }

  const Scratch scratch_;
  const std::string model_ = scratch_ / "model";
};

TEST_F(WeightsReplaced, TheEncoderRefusesAndStartsAnewAndTheJobIsPaintedUnderTheNewFingerprint) {
  Daemon encoder = Encoder();
  Daemon renderer = Renderer(encoder.address());
  const User user(renderer.address());
  const std::string before = FingerprintIn(user.Fetch(user.Submit(kSmall)));
  const std::string file = File(kTextWeights);
  Overwrite(kTextWeights);
  const std::string after = FingerprintIn(user.Fetch(user.Submit(kSmall)));
  EXPECT_NE(after, before);
  EXPECT_NE(after, "");
  EXPECT_TRUE(encoder.IsRunning());
  AwaitLine(encoder,
            file + ": was changed while in use (it was written to): its weights are not those that were loaded");
  AwaitLine(encoder, "starts anew with what is there now");
  EXPECT_EQ(encoder.Stop(), 0);
}

TEST_F(WeightsReplaced, AnEncoderWhoseFileIsCutShortSaysSoAndEnds) {
  Daemon encoder = Encoder();
  fs::resize_file(File(kTextWeights), 4096);
  AwaitEnd(encoder);
  EXPECT_EQ(encoder.Stop(), 1) << encoder.Log();
  EXPECT_NE(encoder.Log().find(File(kTextWeights) + ": was changed while in use (it is 4096 bytes long, not "),
            std::string::npos)
      << encoder.Log();
  EXPECT_NE(encoder.Log().find("file is truncated"), std::string::npos) << encoder.Log();
}

TEST_F(WeightsReplaced, TheRendererKeepsItsJobsAndPaintsThemUnderTheNewFingerprint) {
  const Daemon encoder = StartEncoder(ToyPath("toy_a"));
  Daemon renderer = Renderer(encoder.address());
  const User user(renderer.address());
  const std::string before = FingerprintIn(user.Fetch(user.Submit(kSmall)), "transformer_fingerprint");
  Overwrite(kDitWeights);
  const std::string id = user.Submit(kSmall);
  AwaitLine(renderer, "starts anew with what is there now");
  const std::string after = FingerprintIn(user.Fetch(id), "transformer_fingerprint");
  EXPECT_NE(after, before);
  EXPECT_NE(after, "");
  EXPECT_NE(renderer.Log().find(File(kDitWeights) + ": was changed while in use"), std::string::npos) << renderer.Log();
}

TEST_F(WeightsReplaced, ASecondStartRemembersTheFingerprintsAndVerifyReadsTheBytes) {
  const std::string cache = scratch_ / "cache", model = ToyPath("toy_a");
  const std::vector<std::string> flags = {"--fingerprint-cache", cache};
  std::string fingerprint;
  for (const char* said : {" hashed in ", ": remembered, "}) {
    Daemon encoder = StartEncoder(model, flags);
    Daemon renderer = StartRenderer(model, encoder.address(), scratch_ / "state", flags);
    for (const auto& [daemon, part] :
         {std::pair(&encoder, "text_encoder"), std::pair(&renderer, "transformer"), std::pair(&renderer, "vae")}) {
      const std::string log = daemon->Log();
      const size_t at = log.find("fingerprint of " + model + "/" + part + ": ");
      ASSERT_NE(at, log.npos) << log;
      EXPECT_NE(log.substr(at, log.find('\n', at) - at).find(said), std::string::npos) << log;
    }
    const std::string now = FingerprintIn(User(renderer.address()).Fetch(User(renderer.address()).Submit(kSmall)));
    EXPECT_EQ(now, fingerprint.empty() ? now : fingerprint);
    fingerprint = now;
  }
  const Outcome same = Diptych({"models", "verify", model, "--fingerprint-cache", cache});
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_NE(same.out.find("text_encoder/model.safetensors: OK, "), std::string::npos) << same.out;
}

// Who starts a daemon as a service starts it again, too.
TEST_F(WeightsReplaced, UnderAServiceManagerTheDaemonEndsAsFailed) {
  Daemon encoder("diptych-encoderd", {"--model-path", model_, "--torch-dtype", "float32"}, "127.0.0.1:0",
                 {{"NOTIFY_SOCKET", scratch_ / "none"}});
  Overwrite(kTextWeights);
  AwaitEnd(encoder);
  EXPECT_EQ(encoder.Stop(), 1) << encoder.Log();
  EXPECT_NE(encoder.Log().find("its weights are not those that were loaded"), std::string::npos) << encoder.Log();
}

TEST_F(WeightsReplaced, TheSameWeightsWrittenAnewCostAMoment) {
  Daemon encoder = Encoder();
  Daemon renderer = Renderer(encoder.address());
  PutBack(kTextWeights);
  PutBack(kDitWeights);
  const User user(renderer.address());
  const std::string id = user.Submit(kSmall);
  EXPECT_FALSE(user.Fetch(id).empty());
  AwaitLine(encoder, File(kTextWeights) + ": it was written to, and has the same weights; they stay in use");
  AwaitLine(renderer, File(kDitWeights) + ": it was written to, and has the same weights; they stay in use");
  EXPECT_TRUE(encoder.IsRunning());
  EXPECT_TRUE(renderer.IsRunning());
}

TEST_F(WeightsReplaced, AnotherFileAtThePathIsForTheNextStart) {
  Daemon encoder = Encoder();
  fs::copy_file(File(kTextWeights), File("new"));
  fs::rename(File("new"), File(kTextWeights));
  AwaitLine(encoder,
            File(kTextWeights) + ": another file lies there since the model was loaded; what was loaded stays in use");
  EXPECT_TRUE(encoder.IsRunning());
}

TEST_F(WeightsReplaced, WeightsThatWereConvertedAtTheLoadAreCopies) {
  Daemon encoder = StartEncoder(model_, {"--torch-dtype", "bfloat16"});
  Overwrite(kTextWeights);
  AwaitLine(encoder,
            File(kTextWeights) + ": it was written to since the model was loaded; what was loaded stays in use");
  EXPECT_TRUE(encoder.IsRunning());
  EXPECT_EQ(encoder.Stop(), 0);
}

// A file system that knows no mappings at all: the weights are read into memory, and what that costs is said.
TEST_F(WeightsReplaced, WhereNothingCanBeMappedTheWeightsAreReadIntoMemory) {
  const Daemon encoder("diptych-encoderd", {"--model-path", model_}, "127.0.0.1:0",
                       {{"LD_PRELOAD", NO_MAPPINGS_LIBRARY}, {"NO_MAPPINGS_BELOW", model_}});
  EXPECT_NE(
      encoder.Log().find(File(kTextWeights) + ": this file system cannot map it (No such device): read into memory"),
      std::string::npos)
      << encoder.Log();
}

}  // namespace
}  // namespace diptych::integration
