#include "render_node/service/receipt_finisher.h"

#include <string>

#include "common/conditioning/conditioning_hash.h"
#include "common/image/png.h"
#include "common/version/version.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

Conditioning Block(char fill, int64_t rows) {
  Conditioning block;
  block.header.model_fingerprint = std::string(64, 'a');
  block.header.tokenizer_fingerprint = std::string(64, 'b');
  block.header.input_sha256 = std::string(64, 'c');
  block.header.layer = -3;
  block.header.long_prompt_mode = LongPromptMode::kPool;
  block.header.rows = block.header.token_count = rows;
  block.header.width = 4;
  block.bytes.assign(block.header.ByteCount(), fill);
  return block;
}

// Everything that a FinishRequest refers to.
struct Work {
  Picture picture{2, 1, {1, 2, 3, 4, 5, 6}};
  JobSpec spec;
  RenderParameters parameters{32, 16, 5, 77, 6.5, 2.5, 0.5, 0.75};
  RendererFacts facts;
  Conditioning positive = Block(1, 3);
  Conditioning negative = Block(2, 2);

  Work() {
    facts.transformer_fingerprint = std::string(64, 'd');
    facts.vae_fingerprint = std::string(64, 'e');
    facts.dtype = "float32";
    facts.tiling = {{16, 4}, 24};
    spec.prompt = PromptParts{"a tree", "draw", "hm", "so", true, true, true, ""};
    spec.negative.emplace().conversation_json = "{}";
  }
  FinishRequest Request(bool guided = true) const {
    return {.picture = picture,
            .spec = spec,
            .parameters = parameters,
            .renderer = facts,
            .positive = positive,
            .negative = guided ? &negative : nullptr};
  }
};

TEST(ReceiptOf, NamesAllThatDeterminesThePicture) {
  const Work work;
  Receipt expected;
  expected.program_version = kVersion;
  expected.prompt = PromptParts{"a tree", "draw", "hm", "so", true, true, true, ""};
  expected.negative.emplace().conversation_json = "{}";
  expected.width = 32;
  expected.height = 16;
  expected.seed = 77;
  expected.steps = 5;
  expected.shift = 6.5;
  expected.guidance_scale = 2.5;
  expected.cfg_normalization = 0.5;
  expected.cfg_truncation = 0.75;
  expected.layer = -3;
  expected.long_prompt_mode = LongPromptMode::kPool;
  expected.dtype = "float32";
  expected.tiles = {16, 4};
  expected.transformer_fingerprint = std::string(64, 'd');
  expected.vae_fingerprint = std::string(64, 'e');
  expected.text_encoder_fingerprint = std::string(64, 'a');
  expected.tokenizer_fingerprint = std::string(64, 'b');
  expected.conditioning_hash = ConditioningHash(work.positive);
  expected.negative_conditioning_hash = ConditioningHash(work.negative);
  EXPECT_EQ(ReceiptOf(work.Request()), expected);
}

TEST(ReceiptOf, TellsAPictureDecodedAsAWholeFromOneInTiles) {
  Work work;
  work.facts.tiling.beyond = 32;
  EXPECT_EQ(ReceiptOf(work.Request()).tiles, DecodeTiles{}) << "not beyond the limit";
  work.facts.tiling = {};
  EXPECT_EQ(ReceiptOf(work.Request()).tiles, DecodeTiles{}) << "never";
}

TEST(ReceiptOf, SaysNothingOfANegativePromptThatWasNotUsed) {
  const Receipt receipt = ReceiptOf(Work().Request(/*guided=*/false));
  EXPECT_FALSE(receipt.negative);
  EXPECT_EQ(receipt.negative_conditioning_hash, "");
}

TEST(ReceiptOf, ClaimsNoPromptForConditioningOfUnknownText) {
  Work work;
  work.spec.prompt.reset();
  work.spec.negative.reset();
  const Receipt receipt = ReceiptOf(work.Request());
  EXPECT_FALSE(receipt.prompt);
  EXPECT_FALSE(receipt.negative);
  EXPECT_EQ(receipt.conditioning_hash, ConditioningHash(work.positive));
}

TEST(FinishWithReceipt, ThePictureCarriesItsReceipt) {
  const Work work;
  const std::vector<uint8_t> png = FinishWithReceipt(work.Request());
  const PngFile file = DecodePng({reinterpret_cast<const char*>(png.data()), png.size()});
  EXPECT_EQ(file.picture.rgb, work.picture.rgb);
  EXPECT_EQ(FindReceipt(file.text), ReceiptOf(work.Request()));
}

TEST(FinishWithReceipt, WhoAskedAndHowSoonLeavesNoTrace) {
  Work one, other;
  other.spec.client = "somebody else";
  other.spec.priority = 9;
  other.spec.prompt->system = "draw";
  other.facts.threads = 64;
  other.facts.device = "cuda";
  EXPECT_EQ(FinishWithReceipt(one.Request()), FinishWithReceipt(other.Request()));
}

}  // namespace
}  // namespace diptych
