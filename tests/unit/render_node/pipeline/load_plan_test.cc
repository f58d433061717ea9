#include "render_node/pipeline/load_plan.h"

#include <gtest/gtest.h>

#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::BytesOf;
using testing::ErrorOf;
using testing::TemporaryFolder;

constexpr uint64_t kMB = 1'000'000;

// A transformer of 4 MB and a VAE of 2 MB in bfloat16, half of it the encoder.
class LoadPlanOfFiles : public ::testing::Test {
 protected:
  LoadPlanOfFiles() {
    WriteSafetensors(dit_file_, {{{"layers.0.weight", Dtype::BF16, {2'000'000}}, BytesOf(two_million_)}});
    WriteSafetensors(vae_file_, {{{"decoder.w", Dtype::BF16, {500'000}}, BytesOf(half_a_million_)},
                                 {{"encoder.w", Dtype::BF16, {500'000}}, BytesOf(half_a_million_)}});
    dit_ = Checkpoint::Open(dit_file_);
    vae_ = Checkpoint::Open(vae_file_);
  }

  LoadPlan Plan(const std::string& dtype, std::optional<uint64_t> megabytes, WeightNeed encoder = {},
                bool vae_encodes = true) const {
    LoadQuestion question{.transformer = *dit_, .vae = *vae_, .vae_encodes = vae_encodes, .torch_dtype = dtype};
    question.picture = {.dim = 1, .ffn_dim = 1, .heads = 1, .vae_channels = {1}};
    question.max_side = 16;
    question.encoder = encoder;
    if (megabytes) question.host = MemoryRoom{*megabytes * kMB, ""};
    return PlanLoad(question);
  }

  const std::vector<uint16_t> two_million_ = std::vector<uint16_t>(2'000'000);
  const std::vector<uint16_t> half_a_million_ = std::vector<uint16_t>(500'000);
  const TemporaryFolder folder_;
  const std::string dit_file_ = folder_ / "dit.safetensors", vae_file_ = folder_ / "vae.safetensors";
  std::shared_ptr<const Checkpoint> dit_, vae_;
};

TEST_F(LoadPlanOfFiles, WidensOnACpuWhereThereIsRoom) {
  const LoadPlan plan = Plan("auto", 1000);
  EXPECT_FALSE(plan.bfloat16);
  EXPECT_EQ(plan.weights.copied, 12 * kMB);  // 8 of the transformer, 2 each of decoder and encoder
  EXPECT_EQ(plan.weights.mapped, 0u);
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_EQ(plan.notes[0].rfind("transformer and VAE in float32: 12 MB of memory, ", 0), 0u) << plan.notes[0];
  EXPECT_NE(plan.notes[0].find("available 1.0 GB"), std::string::npos) << plan.notes[0];
}

TEST_F(LoadPlanOfFiles, KeepsTheStoredFormatWhereWideningDoesNotFit) {
  const LoadPlan plan = Plan("auto", 9);
  EXPECT_TRUE(plan.bfloat16);
  EXPECT_EQ(plan.weights.copied, 4 * kMB);
  EXPECT_EQ(plan.weights.mapped, 4 * kMB);
  EXPECT_NE(plan.notes[0].find("float32 needs 12 MB"), std::string::npos) << plan.notes[0];
}

TEST_F(LoadPlanOfFiles, LeavesOutAnEncoderThatIsNotRead) {
  EXPECT_EQ(Plan("auto", 1000, {}, false).weights.copied, 10 * kMB);
}

TEST_F(LoadPlanOfFiles, LeavesRoomForTheEncoderOfThisHost) {
  EXPECT_FALSE(Plan("auto", 100).bfloat16);
  EXPECT_TRUE(Plan("auto", 100, {.copied = 0, .mapped = 90 * kMB}).bfloat16);
}

TEST_F(LoadPlanOfFiles, TakesTheOperatorsWordWhereItFits) {
  EXPECT_FALSE(Plan("float32", 13).bfloat16);
  EXPECT_TRUE(Plan("bfloat16", 1000).bfloat16);
}

TEST_F(LoadPlanOfFiles, RefusesWithBothNumbersAndTheWayOut) {
  EXPECT_EQ(ErrorOf([&] { Plan("float32", 9); }),
            "transformer and VAE in float32: 12 MB of memory needed, available 9.0 MB; --torch-dtype bfloat16 needs "
            "less; end other programs, or --ignore-memory loads all the same");
  EXPECT_EQ(ErrorOf([&] { Plan("auto", 1); }),
            "transformer and VAE in bfloat16: 4.0 MB of memory and 4.0 MB in mapped files needed, available 1.0 MB; "
            "end other programs, or --ignore-memory loads all the same");
}

TEST_F(LoadPlanOfFiles, AsksNothingWhereNothingIsKnown) { EXPECT_FALSE(Plan("auto", std::nullopt).bfloat16); }

TEST_F(LoadPlanOfFiles, CountsEverythingAgainstTheGpu) {
  LoadQuestion question{.transformer = *dit_, .vae = *vae_, .torch_dtype = "auto"};
  question.picture = {.dim = 1, .ffn_dim = 1, .heads = 1, .vae_channels = {1}};
  question.dit_on_gpu = question.vae_on_gpu = true;
  question.host = MemoryRoom{1, ""};  // nothing of it is taken
  question.gpu = MemoryRoom{9 * kMB, ""};
  const LoadPlan plan = PlanLoad(question);
  EXPECT_TRUE(plan.bfloat16);
  EXPECT_EQ(plan.weights.copied + plan.weights.mapped, 0u);
  question.gpu = MemoryRoom{7 * kMB, ""};  // 4, 2 and 2
  EXPECT_NE(ErrorOf([&] { PlanLoad(question); }).find("8.0 MB of memory needed, available 7.0 MB"), std::string::npos);
}

TEST_F(LoadPlanOfFiles, CountsTheVaeWhereItLies) {
  LoadQuestion question{.transformer = *dit_, .vae = *vae_, .torch_dtype = "auto"};
  question.picture = {.dim = 1, .ffn_dim = 1, .heads = 1, .vae_channels = {1}};
  question.dit_on_gpu = true;
  question.gpu = MemoryRoom{5 * kMB, ""};
  question.host = MemoryRoom{5 * kMB, ""};
  const LoadPlan plan = PlanLoad(question);
  EXPECT_EQ(plan.weights.copied, 4 * kMB);
  EXPECT_EQ(plan.notes.size(), 2u);
  question.host = MemoryRoom{kMB, ""};
  EXPECT_NE(ErrorOf([&] { PlanLoad(question); }).find("the VAE in float32: 4.0 MB of memory needed"),
            std::string::npos);
}

}  // namespace
}  // namespace diptych
