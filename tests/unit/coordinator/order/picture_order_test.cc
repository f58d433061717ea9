#include "coordinator/order/picture_order.h"

#include <algorithm>

#include "common/conditioning/conditioning_hash.h"
#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "common/image/png.h"
#include "coordinator/client/saved_embeddings.h"
#include "coordinator/files.h"
#include "coordinator/order/receipt_comparison.h"
#include "coordinator/order/wrong_wish.h"
#include "gtest/gtest.h"
#include "tests/support/settings_for_test.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

SavedEmbeddings SmallEmbeddings() {
  SavedEmbeddings saved;
  saved.conditioning.header.rows = 1;
  saved.conditioning.header.width = 2;
  saved.conditioning.header.layer = -5;
  saved.conditioning.header.long_prompt_mode = LongPromptMode::kTruncate;
  saved.conditioning.bytes = {1, 2, 3, 4};
  saved.prompt = PromptParts{};
  saved.prompt->user = "from the file";
  return saved;
}

class PictureOrderTest : public testing::Test {
 protected:
  PictureOrder Order(const std::optional<std::string>& prompt, const Values& values,
                     const ModelDefaultsView& defaults = {}) {
    PictureOrder order = MakeOrder(prompt, ReadPictureOptions(SettingsForTest(values)), [] { return 4711; });
    RendererDescription renderer;
    renderer.defaults = defaults;
    Complete(renderer, order);
    return order;
  }
  // A PNG with a receipt; returns its path.
  std::string Save(const Receipt& receipt) {
    const Picture picture{1, 1, {1, 2, 3}};
    WriteFileAtomically(folder_ / "p.png", EncodePng(picture, ReceiptPngText(receipt)));
    return folder_ / "p.png";
  }
  static Receipt SampleReceipt() {
    Receipt receipt;
    receipt.program_version = "1";
    receipt.prompt = PromptParts{};
    receipt.prompt->user = "a cat";
    receipt.prompt->system = "paint";
    receipt.width = 64;
    receipt.height = 32;
    receipt.seed = 99;
    receipt.steps = 4;
    receipt.shift = 2.5;
    receipt.layer = -3;
    receipt.long_prompt_mode = LongPromptMode::kPool;
    receipt.dtype = "float32";
    receipt.transformer_fingerprint = std::string(64, 'a');
    receipt.vae_fingerprint = std::string(64, 'b');
    receipt.text_encoder_fingerprint = std::string(64, 'c');
    receipt.tokenizer_fingerprint = std::string(64, 'd');
    receipt.conditioning_hash = std::string(64, 'e');
    return receipt;
  }
  TestFolder folder_;
};

TEST_F(PictureOrderTest, DrawsASeedOnlyWhenNoneIsGiven) {
  EXPECT_EQ(Order("p", {}).request.seed, 4711u);
  EXPECT_TRUE(Order("p", {}).seed_drawn);
  EXPECT_EQ(Order("p", {{"--seed", "0"}}).request.seed, 0u);
  EXPECT_FALSE(Order("p", {{"--seed", "0"}}).seed_drawn);
}

TEST_F(PictureOrderTest, DrawnSeedsDiffer) { EXPECT_NE(RandomSeed() + RandomSeed() + RandomSeed(), 3 * RandomSeed()); }

TEST_F(PictureOrderTest, RefusesSeedsThatRunOverTheEnd) {
  EXPECT_NO_THROW(Order("p", {{"--seed", "18446744073709551614"}, {"--count", "2"}}));
  EXPECT_THROW(Order("p", {{"--seed", "18446744073709551614"}, {"--count", "3"}}), WrongWish);
}

TEST_F(PictureOrderTest, LeavesTheShiftToTheCheckpointUnlessItIsGiven) {
  EXPECT_FALSE(Order("p", {}).request.shift.has_value());
  EXPECT_EQ(Order("p", {{"scheduler.shift", "2"}}).request.shift, 2.0);
}

TEST_F(PictureOrderTest, WhatNobodyStatesIsTheModels) {
  const ModelDefaultsView base = {.width = 128, .height = 96, .steps = 50, .guidance_scale = 4};
  const PictureRequest open = Order("p", {}, base).request;
  EXPECT_EQ(open.width, 128);
  EXPECT_EQ(open.height, 96);
  EXPECT_EQ(open.steps, 50);
  EXPECT_EQ(open.guidance_scale, 4);
  EXPECT_EQ(open.negative, PromptParts{}) << "guidance takes the empty prompt";
  EXPECT_EQ(Order("p", {{"--negative-prompt", "blur"}}, base).request.negative->user, "blur");
  const PictureRequest turbo = Order("p", {}).request;
  EXPECT_EQ(turbo.width, 1024);
  EXPECT_EQ(turbo.steps, 9);
  EXPECT_EQ(turbo.guidance_scale, 0);

  // Flags and the configuration file say more than the model.
  const PictureRequest stated =
      Order("p", {{"generation.width", "512"}, {"--steps", "7"}, {"--guidance-scale", "0"}}, base).request;
  EXPECT_EQ(stated.width, 512);
  EXPECT_EQ(stated.height, 96);
  EXPECT_EQ(stated.steps, 7);
  EXPECT_EQ(stated.guidance_scale, 0);
  EXPECT_FALSE(stated.negative);
}

TEST_F(PictureOrderTest, APictureIsRepeatedWithItsOwnNumbersWhateverTheModelIsMadeFor) {
  const ModelDefaultsView base = {.width = 128, .height = 96, .steps = 50, .guidance_scale = 4};
  const PictureOrder order = Order(std::nullopt, {{"--from-picture", Save(SampleReceipt())}}, base);
  EXPECT_EQ(order.request.width, SampleReceipt().width);
  EXPECT_EQ(order.request.steps, SampleReceipt().steps);
  EXPECT_EQ(order.request.guidance_scale, 0);
  EXPECT_FALSE(order.changed);
}

TEST_F(PictureOrderTest, AnotherNoiseScheduleIsAnotherPicture) {
  Receipt receipt = SampleReceipt();
  RendererDescription renderer;
  renderer.transformer_fingerprint = receipt.transformer_fingerprint;
  renderer.vae_fingerprint = receipt.vae_fingerprint;
  renderer.dtype = receipt.dtype;
  EXPECT_TRUE(DifferentModels(receipt, renderer, false).empty());
  receipt.schedule = "karras";
  EXPECT_EQ(DifferentModels(receipt, renderer, false),
            std::vector<std::string>{"the renderer's noise schedule is Z-Image-Turbo's own, the picture was made with "
                                     "\"karras\""});
  EXPECT_EQ(DifferentFields(receipt, SampleReceipt()), std::vector<std::string>{"schedule"});
}

TEST_F(PictureOrderTest, SendsANegativePromptOnlyWithGuidance) {
  EXPECT_FALSE(Order("p", {}).request.negative.has_value());
  EXPECT_TRUE(Order("p", {}).notes.empty());
  const PictureOrder without = Order("p", {{"--negative-prompt", "blur"}});
  EXPECT_FALSE(without.request.negative.has_value());
  EXPECT_EQ(without.notes.size(), 1u);
  const PictureOrder with = Order("p", {{"--negative-prompt", "blur"},
                                        {"--guidance-scale", "3"},
                                        {"--system-prompt", "s"},
                                        {"--force-think-block", "true"}});
  EXPECT_EQ(with.request.negative->user, "blur");
  EXPECT_EQ(with.request.negative->system, "");
  EXPECT_TRUE(with.request.negative->force_think_block);
  EXPECT_EQ(Order("p", {{"--guidance-scale", "3"}}).request.negative->user, "");
}

TEST_F(PictureOrderTest, RefusesANegativePromptThatIsNotUtf8AlsoWithoutGuidance) {
  for (const char* scale : {"0", "3"}) {
    try {
      Order("p", {{"--negative-prompt", "a\xFF"}, {"--guidance-scale", scale}});
      ADD_FAILURE() << "accepted with guidance " << scale;
    } catch (const WrongWish& error) {
      EXPECT_STREQ(
          error.what(),
          "--negative-prompt is not valid UTF-8: byte 0xFF at offset 1 does not begin or complete a character");
    }
  }
}

TEST_F(PictureOrderTest, RefusesALongClientName) {
  EXPECT_THROW(ReadPictureOptions(SettingsForTest({{"--client", std::string(65, 'x')}})), WrongWish);
  EXPECT_THROW(ReadPictureOptions(SettingsForTest({{"--client", "a\xFF"}})), WrongWish);
  EXPECT_EQ(ReadPictureOptions(SettingsForTest({{"--client", "ann"}})).labels.client, "ann");
  EXPECT_EQ(ReadPictureOptions(SettingsForTest()).labels.client, "") << "the front knows who asks";
}

TEST_F(PictureOrderTest, RepeatsAPictureExactly) {
  const PictureOrder order = Order(std::nullopt, {{"--from-picture", Save(SampleReceipt())}});
  EXPECT_FALSE(order.changed);
  EXPECT_FALSE(order.seed_drawn);
  EXPECT_EQ(order.request.prompt, SampleReceipt().prompt);
  EXPECT_EQ(order.request.width, 64);
  EXPECT_EQ(order.request.height, 32);
  EXPECT_EQ(order.request.seed, 99u);
  EXPECT_EQ(order.request.steps, 4);
  EXPECT_EQ(order.request.shift, 2.5);
  EXPECT_EQ(order.request.layer, -3);
  EXPECT_EQ(order.request.long_prompt_mode, LongPromptMode::kPool);
}

TEST_F(PictureOrderTest, ChangesWhatFlagsSayAndNothingElse) {
  const PictureOrder order =
      Order("a dog", {{"--from-picture", Save(SampleReceipt())}, {"--steps", "7"}, {"--width", "48"}});
  EXPECT_TRUE(order.changed);
  EXPECT_EQ(order.request.prompt->user, "a dog");
  EXPECT_EQ(order.request.prompt->system, "paint");
  EXPECT_EQ(order.request.steps, 7);
  EXPECT_EQ(order.request.width, 48);
  EXPECT_EQ(order.request.height, 32);
  EXPECT_EQ(order.request.seed, 99u);
}

TEST_F(PictureOrderTest, RepeatsWithItsOwnNegativePrompt) {
  Receipt receipt = SampleReceipt();
  receipt.guidance_scale = 3;
  receipt.negative = PromptParts{};
  receipt.negative->user = "blur";
  receipt.negative_conditioning_hash = std::string(64, 'f');
  const std::string file = Save(receipt);
  EXPECT_EQ(Order(std::nullopt, {{"--from-picture", file}}).request.negative->user, "blur");
  EXPECT_EQ(Order(std::nullopt, {{"--from-picture", file}, {"--negative-prompt", "fog"}}).request.negative->user,
            "fog");
  EXPECT_FALSE(Order(std::nullopt, {{"--from-picture", file}, {"--guidance-scale", "0"}}).request.negative.has_value());
}

TEST_F(PictureOrderTest, AsksForTheEmbeddingsOfAPictureWithoutPrompt) {
  Receipt receipt = SampleReceipt();
  receipt.prompt.reset();
  const SavedEmbeddings saved = SmallEmbeddings();
  receipt.conditioning_hash = ConditioningHash(saved.conditioning);
  const std::string file = Save(receipt);
  EXPECT_THROW(Order(std::nullopt, {{"--from-picture", file}}), WrongWish);
  SaveEmbeddings(folder_ / "e", saved);
  const PictureOrder order = Order(std::nullopt, {{"--from-picture", file}, {"--load-embeddings", folder_ / "e"}});
  EXPECT_TRUE(order.request.conditioning != nullptr);
  EXPECT_TRUE(order.notes.empty());
  receipt.conditioning_hash = std::string(64, '0');
  EXPECT_EQ(Order(std::nullopt, {{"--from-picture", Save(receipt)}, {"--load-embeddings", folder_ / "e"}}).notes.size(),
            1u);
}

TEST_F(PictureOrderTest, TakesPromptLayerAndModeFromEmbeddings) {
  SaveEmbeddings(folder_ / "e.safetensors", SmallEmbeddings());
  const Values values = {{"--load-embeddings", folder_ / "e.safetensors"}};
  const PictureOrder order = Order(std::nullopt, values);
  EXPECT_EQ(order.request.conditioning->bytes, SmallEmbeddings().conditioning.bytes);
  EXPECT_EQ(order.request.prompt->user, "from the file");
  EXPECT_EQ(order.request.layer, -5);
  EXPECT_EQ(order.request.long_prompt_mode, LongPromptMode::kTruncate);
  EXPECT_NO_THROW(Order("from the file", values));
  EXPECT_THROW(Order("something else", values), WrongWish);
  EXPECT_THROW(Order(std::nullopt, {values[0], {"--hidden-layer", "-2"}}), WrongWish);
}

TEST_F(PictureOrderTest, TakesTheNegativeOfGuidanceFromEmbeddings) {
  SavedEmbeddings saved = SmallEmbeddings();
  SaveEmbeddings(folder_ / "without", saved);
  saved.negative = SavedNegative{saved.conditioning, PromptParts{}};
  saved.negative->prompt->user = "fog";
  SaveEmbeddings(folder_ / "with", saved);
  const PictureOrder order = Order(std::nullopt, {{"--load-embeddings", folder_ / "with"}, {"--guidance-scale", "2"}});
  EXPECT_EQ(order.request.negative->user, "fog");
  EXPECT_TRUE(order.request.negative_conditioning != nullptr);
  EXPECT_TRUE(Order(std::nullopt, {{"--load-embeddings", folder_ / "with"}}).request.negative_conditioning == nullptr);
  EXPECT_THROW(Order(std::nullopt, {{"--load-embeddings", folder_ / "without"}, {"--guidance-scale", "2"}}), WrongWish);
  EXPECT_THROW(Order(std::nullopt,
                     {{"--load-embeddings", folder_ / "with"}, {"--guidance-scale", "2"}, {"--negative-prompt", "x"}}),
               WrongWish);
}

TEST_F(PictureOrderTest, LeavesThePromptUnsetForEmbeddingsOfUnknownOrigin) {
  SaveEmbeddings(folder_ / "e.safetensors", SmallEmbeddings());
  std::filesystem::remove(folder_ / "e.json");
  const Values values = {{"--load-embeddings", folder_ / "e.safetensors"}};
  EXPECT_FALSE(Order(std::nullopt, values).request.prompt.has_value());
  EXPECT_EQ(Order("my label", values).request.prompt->user, "my label");
}

TEST_F(PictureOrderTest, RefusesFilesThatAreNoPicturesWithReceipt) {
  EXPECT_THROW(ReadReceipt(folder_ / "absent.png"), Error);
  WriteFileAtomically(folder_ / "text.png", "no picture");
  EXPECT_THROW(ReadReceipt(folder_ / "text.png"), Error);
  WriteFileAtomically(folder_ / "plain.png", EncodePng({1, 1, {1, 2, 3}}, {}));
  try {
    ReadReceipt(folder_ / "plain.png");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("plain.png"), std::string::npos);
  }
}

TEST_F(PictureOrderTest, NamesTheModelsThatDifferFromTheReceipt) {
  RendererDescription renderer;
  renderer.transformer_fingerprint = std::string(64, 'a');
  renderer.vae_fingerprint = std::string(64, 'b');
  renderer.dtype = "float32";
  renderer.encoders = {{"x:1", true, "", std::string(64, 'c'), 2}};
  EXPECT_TRUE(DifferentModels(SampleReceipt(), renderer, true).empty());
  renderer.vae_fingerprint = std::string(64, '0');
  renderer.encoders[0].model_fingerprint = std::string(64, '1');
  const std::vector<std::string> lines = DifferentModels(SampleReceipt(), renderer, true);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0].find("VAE is 000000000000"), std::string::npos);
  EXPECT_NE(lines[1].find("text encoder"), std::string::npos);
  EXPECT_EQ(DifferentModels(SampleReceipt(), renderer, false).size(), 1u);
}

TEST_F(PictureOrderTest, WarnsOfAnotherTilingThanTheReceipts) {
  Receipt receipt = SampleReceipt();
  RendererDescription renderer;
  renderer.transformer_fingerprint = receipt.transformer_fingerprint;
  renderer.vae_fingerprint = receipt.vae_fingerprint;
  renderer.dtype = receipt.dtype;
  const int32_t longest = std::max(receipt.width, receipt.height);
  renderer.tiling = {{512, 64}, longest - 1};
  EXPECT_TRUE(DifferentModels(receipt, renderer, false).empty()) << "an old receipt does not know";
  receipt.tiles = {512, 64};
  EXPECT_TRUE(DifferentModels(receipt, renderer, false).empty());
  renderer.tiling.tiles.overlap = 32;
  EXPECT_EQ(DifferentModels(receipt, renderer, false),
            std::vector<std::string>{"the renderer's VAE decodes a picture of this size in tiles of 512 px with an "
                                     "overlap of 32 px, the picture was decoded in tiles of 512 px with an overlap of "
                                     "64 px; its bytes may differ"});
  renderer.tiling = {{512, 64}, longest};
  ASSERT_EQ(DifferentModels(receipt, renderer, false).size(), 1u);
  receipt.tiles = DecodeTiles{};
  EXPECT_TRUE(DifferentModels(receipt, renderer, false).empty());
}

TEST_F(PictureOrderTest, AReceiptThatDoesNotKnowItsTilingDiffersInNothing) {
  Receipt known = SampleReceipt();
  known.tiles = {512, 64};
  EXPECT_TRUE(DifferentFields(SampleReceipt(), known).empty());
  Receipt other = known;
  other.tiles = {256, 64};
  EXPECT_EQ(DifferentFields(known, other), std::vector<std::string>{"tile_size"});
}

TEST_F(PictureOrderTest, NamesTheFieldsInWhichReceiptsDiffer) {
  Receipt other = SampleReceipt();
  EXPECT_TRUE(DifferentFields(SampleReceipt(), other).empty());
  other.seed = 1;
  EXPECT_EQ(DifferentFields(SampleReceipt(), other), std::vector<std::string>{"seed"});
}

// A receipt holds the shift of its own size, where the scheduler lets the shift follow the size.
TEST_F(PictureOrderTest, TakesTheShiftOfTheNewSizeWhereTheShiftFollowsIt) {
  const auto order = [&](Values values, bool follows) {
    values.emplace_back("--from-picture", Save(SampleReceipt()));
    PictureOrder made = MakeOrder(std::nullopt, ReadPictureOptions(SettingsForTest(values)), [] { return 4711; });
    RendererDescription renderer;
    renderer.defaults.width = renderer.defaults.height = 64;
    renderer.shift_follows_size = follows;
    Complete(renderer, made);
    return made;
  };
  const PictureOrder larger = order({{"--width", "128"}}, true);
  EXPECT_FALSE(larger.request.shift.has_value()) << "the renderer takes that of the size";
  ASSERT_EQ(larger.notes.size(), 1u);
  EXPECT_EQ(larger.notes[0],
            "the shift follows the size of the picture here: it is that of 128x32, not the picture's 2.5; --shift 2.5 "
            "keeps it");
  for (const PictureOrder& kept :
       {order({}, true), order({{"--width", "128"}}, false), order({{"--width", "64"}}, true),
        order({{"--width", "128"}, {"--shift", "2.5"}}, true)}) {
    EXPECT_EQ(kept.request.shift, 2.5);
    EXPECT_TRUE(kept.notes.empty());
  }
}

std::string SourcePng(int32_t width, int32_t height) {
  return EncodePng({width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3, 9)}, {});
}

class SourceOrderTest : public PictureOrderTest {
 protected:
  SourceOrderTest() {
    WriteFileAtomically(source_, SourcePng(100, 60));
    WriteFileAtomically(mask_, SourcePng(100, 60) + "another file");
  }
  std::string Refusal(const Values& values, const std::optional<std::string>& prompt = "p") {
    try {
      (void)Order(prompt, values);
    } catch (const WrongWish& error) {
      return error.what();
    }
    return "";
  }

  const std::string source_ = folder_ / "source.png", mask_ = folder_ / "mask.png";
};

TEST_F(SourceOrderTest, APictureHasItsSourcesSizeUnlessSomebodySaysIt) {
  const PictureOrder order = Order("p", {{"--img2img", source_}});
  EXPECT_EQ(order.request.width, 96);
  EXPECT_EQ(order.request.height, 48);
  EXPECT_EQ(order.request.strength, 0.6);
  EXPECT_EQ(order.request.inputs.size(), 1u);
  EXPECT_TRUE(order.request.inputs.contains(order.request.source.hex));
  EXPECT_EQ(Order("p", {{"--img2img", source_}, {"--width", "64"}}).request.width, 64);
  EXPECT_EQ(Order("p", {{"--img2img", source_}, {"--extend", "0,0,60,0"}}).request.width, 160);
  const ModelDefaultsView defaults{.width = 256, .height = 128};
  const Values crop = {{"--inpaint", source_}, {"--mask", mask_}, {"--inpaint-crop", "4"}};
  EXPECT_EQ(Order("p", crop, defaults).request.width, 256) << "a part that is put back: the model's own size";
}

TEST_F(SourceOrderTest, FitSaysHowTheSourceComesToTheSize) {
  EXPECT_EQ(Order("p", {{"--img2img", source_}}).request.source_fit, SourceFit::kStretch);
  const PictureOrder order = Order("p", {{"--img2img", source_}, {"--fit", "crop"}});
  EXPECT_EQ(order.request.source_fit, SourceFit::kCrop);
  EXPECT_FALSE(order.fit) << "the file has the size that is painted";
  EXPECT_EQ(Refusal({{"--fit", "stretch"}}), "--fit stretch is for a source picture: --img2img FILE or --inpaint FILE");
}

TEST_F(SourceOrderTest, WhatHasNoEffectIsSaidAndLeftOut) {
  const PictureOrder order = Order("p", {{"--strength", "0.5"}, {"--soft-mask", "true"}});
  EXPECT_EQ(order.notes, (std::vector<std::string>{"--strength has no effect without --img2img or --inpaint",
                                                   "--soft-mask has no effect without --mask or --mask-from-alpha"}));
  EXPECT_FALSE(order.request.strength);
  EXPECT_FALSE(order.request.soft_mask);
  EXPECT_TRUE(Order("p", {{"--img2img", source_}, {"--strength", "0.5"}}).notes.empty());
}

TEST_F(SourceOrderTest, FlagsThatDoNotGoTogetherAreWrongUsage) {
  EXPECT_EQ(Refusal({{"--img2img", source_}, {"--inpaint", source_}}),
            "--img2img and --inpaint each name the source; give one");
  EXPECT_EQ(Refusal({{"--mask", mask_}}), "--mask needs the picture that it is about: --inpaint FILE");
  EXPECT_EQ(Refusal({{"--inpaint", source_}}),
            "--inpaint needs to know where: --mask FILE, --mask-from-alpha or --extend LEFT,TOP,RIGHT,BOTTOM");
  EXPECT_EQ(Refusal({{"--img2img", source_}, {"--inpaint-crop", "4"}}),
            "inpaint_crop: there is no mask around which a part could be cut out");
  EXPECT_EQ(Refusal({{"--img2img", source_}, {"--extend", "1,2"}}).substr(0, 10), "--extend: ");
}

TEST_F(SourceOrderTest, ARepeatAsksForTheFilesAndChecksThem) {
  Receipt receipt = SampleReceipt();
  receipt.source.hex = Sha256Hex(SourcePng(100, 60));
  receipt.strength = 0.25;
  const std::string picture = Save(receipt);
  EXPECT_EQ(Refusal({{"--from-picture", picture}}, std::nullopt),
            "the picture was made from another file, its source (SHA-256 " + receipt.source.hex.substr(0, 12) +
                "...); give it with --img2img FILE");
  const PictureOrder same = Order(std::nullopt, {{"--from-picture", picture}, {"--img2img", source_}});
  EXPECT_FALSE(same.changed);
  EXPECT_EQ(same.request.width, receipt.width) << "the picture's, not the source's";
  const PictureOrder other = Order(std::nullopt, {{"--from-picture", picture}, {"--img2img", mask_}});
  EXPECT_TRUE(other.changed);
  ASSERT_EQ(other.notes.size(), 1u);
  EXPECT_EQ(other.notes[0], "the source is not the file that the picture was made from");
}

}  // namespace
}  // namespace diptych
