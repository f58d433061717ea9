// The whole real path, from the words to the PNG, against the pixels that diffusers made from the same checkpoint.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/image/png.h"
#include "common/weights/safetensors.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

// The pipeline's arguments as flags of ours. What the reference leaves to its default is left out here too.
std::vector<std::string> Flags(const nlohmann::json& settings) {
  const auto text = [&](const char* key) { return settings[key].dump(); };
  std::vector<std::string> flags = {settings["prompt"].get<std::string>(),
                                    "--seed",
                                    text("seed"),
                                    "--width",
                                    text("width"),
                                    "--height",
                                    text("height"),
                                    "--steps",
                                    text("steps"),
                                    "--guidance-scale",
                                    text("guidance"),
                                    "--cfg-truncation",
                                    text("truncation")};
  if (!settings["negative"].is_null())
    flags.insert(flags.end(), {"--negative-prompt", settings["negative"].get<std::string>()});
  if (settings["normalization"].get<bool>()) flags.insert(flags.end(), {"--cfg-normalization", "1"});
  return flags;
}

// At most 1 of 255 off anywhere, and at least 99.9 % equal.
void Compare(const Picture& found, const TensorEntry& golden) {
  ASSERT_EQ(golden.shape, (std::vector<int64_t>{found.height, found.width, 3}));
  ASSERT_EQ(found.rgb.size(), golden.byte_count);
  size_t equal = 0;
  int worst = 0;
  for (size_t i = 0; i < golden.byte_count; ++i) {
    const int difference = std::abs(int{found.rgb[i]} - int{golden.data[i]});
    equal += difference == 0;
    worst = std::max(worst, difference);
  }
  EXPECT_LE(worst, 1);
  EXPECT_GE(static_cast<double>(equal), 0.999 * static_cast<double>(golden.byte_count));
}

void CheckPictures(const std::string& model, const std::string& goldens, size_t count) {
  const auto golden = SafetensorsFile::Open(goldens + "/golden_pipeline.safetensors");
  const nlohmann::json cases = nlohmann::json::parse(golden->metadata().at("json"))["cases"];
  ASSERT_EQ(cases.size(), count);
  const Scratch scratch;
  Daemon encoder = StartEncoder(model, {"--torch-dtype", "float32"});
  Daemon renderer = StartRenderer(model, encoder.address(), scratch / "state", {"--torch-dtype", "float32"});
  for (const auto& [name, settings] : cases.items()) {
    SCOPED_TRACE(name);
    std::vector<std::string> arguments = Flags(settings);
    arguments.insert(arguments.begin(), "generate");
    arguments.insert(arguments.end(), {"--render", renderer.address(), "--output", scratch / "picture.png"});
    const Outcome outcome = Diptych(arguments);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    Compare(DecodePng(ReadFile(scratch / "picture.png")).picture, *golden->Find(name + ".pixels"));
  }
}

TEST(ReferencePicture, EqualsThatOfDiffusersForAFloat32Checkpoint) {
  CheckPictures(ToyPath("toy_a"), ToyPath("toy_a"), 5);
}

TEST(ReferencePicture, EqualsThatOfDiffusersForAShardedBFloat16Checkpoint) {
  CheckPictures(ToyPath("toy_b"), ToyPath("toy_b"), 5);
}

TEST(ReferencePicture, EqualsThatOfDiffusersForTheDemoModel) { CheckPictures(DemoModelPath(), ToyPath("demo"), 3); }

}  // namespace
}  // namespace diptych::integration
