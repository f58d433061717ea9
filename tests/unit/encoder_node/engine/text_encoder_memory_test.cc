#include <gtest/gtest.h>

#include <string>

#include "common/error/error.h"
#include "encoder_node/engine/text_encoder.h"

namespace diptych {
namespace {

const std::string kModel = std::string(DIPTYCH_SOURCE_DIR) + "/models/demo";

// The demo model's text encoder is stored in bfloat16.
TextEncoderOptions Options(const std::string& dtype, uint64_t available) {
  TextEncoderOptions options{.text_encoder_path = kModel + "/text_encoder", .tokenizer_path = kModel + "/tokenizer"};
  options.device = "cpu";
  options.torch_dtype = dtype;
  options.read_memory = [available] {
    MemoryFacts facts;
    facts.available = available;
    return facts;
  };
  return options;
}

TEST(TextEncoderMemory, MapsWhatItCanAndSaysSo) {
  const auto encoder = LoadTextEncoder(Options("auto", 1'000'000'000));
  EXPECT_EQ(encoder->facts().dtype, StateDtype::kBFloat16);
  EXPECT_EQ(encoder->facts().machine.weights_copied, 0u);
  EXPECT_GT(encoder->facts().machine.weights_mapped, 1'000'000u);
  EXPECT_NE(encoder->facts().machine.libtorch, "");
  ASSERT_EQ(encoder->facts().notes.size(), 2u);
  EXPECT_EQ(encoder->facts().notes[0].rfind("the text encoder in bfloat16: 0.0 MB of memory and ", 0), 0u)
      << encoder->facts().notes[0];
  EXPECT_EQ(encoder->facts().notes[1].rfind("fingerprint of " + kModel + "/text_encoder: ", 0), 0u)
      << encoder->facts().notes[1];
  EXPECT_TRUE(encoder->facts().warnings.empty());
}

TEST(TextEncoderMemory, WarnsOfMappedFilesThatAreLargerThanTheMemory) {
  const auto encoder = LoadTextEncoder(Options("auto", 1'000'000));
  ASSERT_EQ(encoder->facts().warnings.size(), 1u);
  EXPECT_NE(encoder->facts().warnings[0].find("which is slow"), std::string::npos);
}

TEST(TextEncoderMemory, RefusesToWidenWhatDoesNotFit) {
  try {
    LoadTextEncoder(Options("float32", 1'000'000));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
    const std::string text = error.what();
    EXPECT_NE(text.find(" of memory needed, available 1.0 MB; --torch-dtype bfloat16 needs less"), std::string::npos)
        << text;
  }
  TextEncoderOptions insists = Options("float32", 1'000'000);
  insists.ignore_memory = true;
  EXPECT_EQ(LoadTextEncoder(insists)->facts().dtype, StateDtype::kFloat32);
}

}  // namespace
}  // namespace diptych
