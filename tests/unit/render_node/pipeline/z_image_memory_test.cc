// What the pipeline does with what it is told of the memory.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "common/error/error.h"
#include "render_node/pipeline/z_image_pipeline.h"

namespace diptych {
namespace {

constexpr uint64_t kMB = 1'000'000;
const std::string kModel = std::string(DIPTYCH_SOURCE_DIR) + "/models/demo";

// The demo model, stored in bfloat16, on a machine that says it has so much.
class ZImageMemory : public ::testing::Test {
 protected:
  ZImageOptions Options(const std::string& dtype) {
    ZImageOptions options;
    options.transformer_path = kModel + "/transformer";
    options.vae_path = kModel + "/vae";
    options.scheduler_path = kModel + "/scheduler";
    options.device = options.vae_device = "cpu";
    options.torch_dtype = dtype;
    options.memory_patience = std::chrono::milliseconds(300);
    options.read_memory = [this] {
      ++asked_;
      MemoryFacts facts;
      facts.total = total_;
      facts.available = asked_ > generous_after_ ? uint64_t{10'000} * kMB : available_;
      return facts;
    };
    return options;
  }
  static void Paint(const ZImagePipeline& pipeline) {
    pipeline.Paint(at::zeros({8, pipeline.facts().cap_feat_dim}), {}, {.width = 64, .height = 64, .steps = 1}, {},
                   CancelToken());
  }

  uint64_t total_ = 10'000 * kMB, available_ = 10'000 * kMB;
  int asked_ = 0, generous_after_ = 1'000'000;
};

ErrorCode CodeOf(const std::function<void()>& work, std::string* text = nullptr) {
  try {
    work();
  } catch (const Error& error) {
    if (text != nullptr) *text = error.what();
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST_F(ZImageMemory, DecidesTheFormatThatAutoMeans) {
  const ZImagePipeline roomy(Options("auto"));
  EXPECT_EQ(roomy.facts().dtype, "float32");
  ASSERT_EQ(roomy.facts().notes.size(), 1u);
  EXPECT_NE(roomy.facts().notes[0].find("available 10.0 GB"), std::string::npos) << roomy.facts().notes[0];
  const uint64_t wide = roomy.facts().machine.weights_copied;
  EXPECT_GT(wide, 8 * kMB);

  available_ = wide - 1;
  const ZImagePipeline tight(Options("auto"));
  EXPECT_EQ(tight.facts().dtype, "bfloat16");
  EXPECT_LT(tight.facts().machine.weights_copied, wide);
  EXPECT_GT(tight.facts().machine.weights_mapped, 0u);
  std::string why;
  EXPECT_EQ(CodeOf([&] { ZImagePipeline refused(Options("float32")); }, &why), ErrorCode::kResourceExhausted);
  EXPECT_NE(why.find("--torch-dtype bfloat16 needs less"), std::string::npos) << why;
  ZImageOptions insists = Options("float32");
  insists.ignore_memory = true;
  EXPECT_EQ(ZImagePipeline(insists).facts().dtype, "float32");
}

TEST_F(ZImageMemory, FailsAPictureAloneThatDoesNotFitNow) {
  const ZImagePipeline pipeline(Options("float32"));
  Paint(pipeline);
  available_ = kMB;
  std::string why;
  EXPECT_EQ(CodeOf([&] { Paint(pipeline); }, &why), ErrorCode::kResourceExhausted);
  EXPECT_EQ(why.rfind("a picture of 64x64 needs about ", 0), 0u) << why;
  EXPECT_NE(why.find("no more than 1.0 MB"), std::string::npos) << why;
  available_ = 10'000 * kMB;
  Paint(pipeline);
}

TEST_F(ZImageMemory, WaitsForOthersToEnd) {
  const ZImagePipeline pipeline(Options("float32"));
  available_ = kMB;
  asked_ = 0;
  generous_after_ = 1;
  Paint(pipeline);
  EXPECT_EQ(asked_, 2);
}

TEST_F(ZImageMemory, RefusesWhatCanNeverFit) {
  total_ = 200 * kMB;
  const ZImagePipeline pipeline(Options("float32"));
  EXPECT_EQ(CodeOf([&] { CheckRenderParameters({.width = 1024, .height = 1024}, pipeline.facts()); }),
            ErrorCode::kFailedPrecondition);
  EXPECT_GT(pipeline.facts().LargestSide(), 0);
}

}  // namespace
}  // namespace diptych
