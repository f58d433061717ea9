// diptych models, through the whole command line.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/digest/sha256.h"
#include "common/weights/fingerprint_cache.h"
#include "common/weights/safetensors_writer.h"
#include "tests/unit/coordinator/cli/run_fixture.h"

namespace diptych {
namespace {

using nlohmann::json;

bool Never(const FileFacts&) { return false; }

class RunModelsTest : public RunTest {
 protected:
  RunModelsTest() {
    const auto fill = [](const TensorSpec& spec, std::span<uint8_t> bytes) {
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(spec.name[0]);
    };
    for (const char* part : {"text_encoder", "vae"}) {
      std::filesystem::create_directories(folder_ / (std::string("model/") + part));
      WriteCheckpoint(folder_ / (std::string("model/") + part), "model", {{"a", Dtype::F32, {4}}}, fill, 1 << 20, {});
    }
  }

  int Verify(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"models", "verify", folder_ / "model", "--fingerprint-cache",
                                          folder_ / "cache"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }
  void Remember(const std::string& file, const std::string& content) const {
    const MappedFile mapped(file);
    const auto size = static_cast<uint64_t>(mapped.facts().size);
    EXPECT_EQ(FingerprintCache(folder_ / "cache", Never).Keep(mapped, {{{size - 16, 16}, Sha256Hex(content)}}), "");
  }

  const std::string encoder_ = folder_ / "model/text_encoder/model.safetensors";
  const std::string vae_ = folder_ / "model/vae/model.safetensors";
};

TEST_F(RunModelsTest, VerifySaysOfEachFileWhetherItIsAsRemembered) {
  Remember(encoder_, std::string(16, 'a'));
  EXPECT_EQ(Verify(), kExitDone) << err_.str();
  EXPECT_NE(out_.str().find(encoder_ + ": OK, 1 tensor (0.0 MB) as remembered"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find(vae_ + ": 1 tensor (0.0 MB) read; nothing was remembered of it"), std::string::npos)
      << out_.str();
  EXPECT_NE(out_.str().find("compared with " + (folder_ / "cache")), std::string::npos) << out_.str();
}

TEST_F(RunModelsTest, VerifyNamesTheTensorThatIsDifferentAndFails) {
  Remember(encoder_, std::string(16, 'a'));
  Remember(vae_, "others");
  EXPECT_EQ(Verify(), kExitFailed);
  EXPECT_NE(out_.str().find(vae_ + ": DIFFERENT, not as remembered: a; yet nothing else about the file has changed"),
            std::string::npos)
      << out_.str();
  ExpectOneLineWith("1 of 2 files not as remembered");

  Remember(vae_, "others");
  EXPECT_EQ(Verify({"--json"}), kExitFailed);
  const std::vector<json> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["different"], json::array());
  EXPECT_EQ(lines[1]["path"], vae_);
  EXPECT_EQ(lines[1]["different"], json({"a"}));
  EXPECT_EQ(lines[1]["since"], nullptr);
  EXPECT_EQ(lines[1]["tensors"], 1);
  EXPECT_EQ(lines[1]["bytes"], 16);
  EXPECT_EQ(lines[1]["was_remembered"], true);
  EXPECT_EQ(json::parse(err_.str())["error"]["code"], "DATA_LOSS");
}

TEST_F(RunModelsTest, VerifyGoesOnBehindAFileThatIsDamaged) {
  std::filesystem::resize_file(encoder_, 5);
  EXPECT_EQ(Verify({"--json"}), kExitFailed);
  ASSERT_EQ(Lines().size(), 2u);
  EXPECT_EQ(Lines()[0]["path"], encoder_);
  EXPECT_EQ(Lines()[0]["error"]["code"], "DATA_LOSS");
  EXPECT_EQ(Lines()[1]["error"], nullptr);
  EXPECT_NE(err_.str().find("1 of 2 files cannot be verified"), std::string::npos) << err_.str();
}

TEST_F(RunModelsTest, WithoutACacheItSaysSo) {
  EXPECT_EQ(Run({"models", "verify", encoder_, "--fingerprint-cache", "none"}), kExitDone);
  EXPECT_NE(out_.str().find("nothing is remembered"), std::string::npos) << out_.str();
}

TEST_F(RunModelsTest, SaysWhatItCanDo) {
  ExpectUsage({"models"}, "diptych models verify PATH");
  ExpectUsage({"models", "list"}, "diptych models knows no \"list\"");
  ExpectUsage({"models", "verify"}, "PATH is missing");
  EXPECT_EQ(Run({"models", "verify", folder_ / "none"}), kExitFailed);
  ExpectOneLineWith("No such file");
}

}  // namespace
}  // namespace diptych
