// From encoder rows to pixels against diffusers' ZImagePipeline.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <string>

#include "gtest/gtest.h"
#include "render_node/pipeline/z_image_pipeline.h"
#include "render_node/sampler/denoise.h"
#include "tests/parity/support/golden.h"

namespace diptych {
namespace {

using parity::Golden;

ZImageOptions Options(const std::string& toy) {
  ZImageOptions options;
  options.transformer_path = parity::DataPath(toy + "/transformer");
  options.vae_path = parity::DataPath(toy + "/vae");
  options.scheduler_path = parity::DataPath(toy + "/scheduler");
  options.torch_dtype = "float32";
  options.device = options.vae_device = "cpu";
  return options;
}

at::Tensor ToTensor(const LatentState& state) {
  return at::tensor(state.values).view({state.channels, state.height, state.width});
}

struct Outcome {
  at::Tensor noise, latent;  // [C, h, w]
  std::vector<at::Tensor> steps;
  Picture picture;
};

Outcome Render(const ZImagePipeline& pipeline, const Golden& golden, const std::string& name,
               const nlohmann::json& settings) {
  RenderParameters parameters;
  parameters.width = settings["width"];
  parameters.height = settings["height"];
  parameters.steps = settings["steps"];
  parameters.seed = settings["seed"];
  parameters.shift = pipeline.facts().default_shift;
  parameters.guidance_scale = settings["guidance"];
  const nlohmann::json& normalization = settings["normalization"];
  parameters.cfg_normalization =
      normalization.is_boolean() ? (normalization.get<bool>() ? 1.0 : 0.0) : normalization.get<double>();
  parameters.cfg_truncation = settings["truncation"];
  const at::Tensor negative = golden.Has(name + ".negative_cap") ? golden[name + ".negative_cap"] : at::Tensor();
  Outcome outcome;
  RenderHooks hooks;
  hooks.on_latent = [&](const LatentState& state) { outcome.steps.push_back(ToTensor(state)); };
  outcome.picture = pipeline.Paint(golden[name + ".cap"], negative, parameters, hooks, CancelToken());
  outcome.latent = outcome.steps.back();
  outcome.noise =
      sampler::InitialNoise(parameters.seed, outcome.latent.size(0), outcome.latent.size(1), outcome.latent.size(2));
  return outcome;
}

TEST(PipelineParity, NoiseLatentsAndPixelsEqualDiffusersInFp32) {
  for (const std::string toy : parity::kToys) {
    const ZImagePipeline pipeline(Options(toy));
    const Golden golden(toy + "/golden_pipeline.safetensors");
    const nlohmann::json cases = nlohmann::json::parse(golden.json())["cases"];
    ASSERT_EQ(cases.size(), 5u);
    for (const auto& [name, settings] : cases.items()) {
      const Outcome found = Render(pipeline, golden, name, settings);
      EXPECT_LE(parity::RelativeDifference(found.noise, golden[name + ".initial_noise"].squeeze(0)), 1e-6)
          << toy << " " << name;
      EXPECT_LE(parity::RelativeDifference(found.latent, golden[name + ".latents"].squeeze(0)), 1e-4)
          << toy << " " << name;
      for (size_t i = 0; i < found.steps.size(); ++i) {
        const std::string step = name + ".step." + std::to_string(i);
        if (golden.Has(step)) {
          EXPECT_LE(parity::RelativeDifference(found.steps[i], golden[step].squeeze(0)), 1e-4) << toy << " " << step;
        }
      }
      const at::Tensor pixels = golden[name + ".pixels"];  // [H, W, 3]
      const at::Tensor ours =
          at::from_blob(const_cast<uint8_t*>(found.picture.rgb.data()), {found.picture.height, found.picture.width, 3},
                        at::TensorOptions().dtype(at::kByte));
      ASSERT_EQ(ours.sizes(), pixels.sizes());
      const at::Tensor difference = (ours.to(at::kInt) - pixels.to(at::kInt)).abs();
      EXPECT_LE(difference.max().item<int>(), 1) << toy << " " << name;
      EXPECT_GE(difference.eq(0).to(at::kDouble).mean().item<double>(), 0.999) << toy << " " << name;
    }
  }
}

TEST(PipelineParity, ADifferentShiftMakesADifferentPicture) {
  const ZImagePipeline pipeline(Options("toy_a"));
  RenderParameters parameters{.width = 64, .height = 64, .steps = 2, .seed = 1, .shift = 3.0};
  const at::Tensor rows = Golden("toy_a/golden_pipeline.safetensors")["plain.cap"];
  const Picture three = pipeline.Paint(rows, {}, parameters, {}, CancelToken());
  parameters.shift = 2.0;
  EXPECT_NE(three.rgb, pipeline.Paint(rows, {}, parameters, {}, CancelToken()).rgb);
}

TEST(PipelineParity, SaysBeforeTheFirstStepWhatItWillDo) {
  const ZImagePipeline pipeline(Options("toy_a"));
  const at::Tensor rows = Golden("toy_a/golden_pipeline.safetensors")["plain.cap"];
  std::vector<std::string> plans;
  RenderHooks hooks;
  hooks.on_progress = [&](const RenderProgress& progress) {
    if (progress.stage == RenderStage::kRefined) plans.push_back(progress.plan);
    EXPECT_EQ(plans.size(), 1u);
  };
  pipeline.Paint(rows, {}, {.width = 64, .height = 64, .steps = 2, .seed = 1, .shift = 3}, hooks, CancelToken());
  ASSERT_EQ(plans.size(), 1u);
  EXPECT_EQ(plans[0].rfind("shift 3, guidance 0, latent ", 0), 0u) << plans[0];
  EXPECT_NE(plans[0].find(", sigmas 1 0.75 0"), std::string::npos) << plans[0];
}

TEST(PipelineParity, UsesAWholeCheckpointButForTheVaesOtherHalf) {
  for (const std::string toy : parity::kToys) EXPECT_TRUE(ZImagePipeline(Options(toy)).facts().warnings.empty()) << toy;
}

TEST(PipelineParity, SaysInWhichTilesItDecodes) {
  ZImageOptions options = Options("toy_a");
  const TilingRule automatic = ZImagePipeline(options).facts().tiling;
  EXPECT_EQ(automatic.For(1024, 512), DecodeTiles{}) << "whole up to 1024 pixels";
  EXPECT_EQ(automatic.For(512, 1040), (DecodeTiles{512, 64}));
  options.tiled_vae = "on";
  EXPECT_EQ(ZImagePipeline(options).facts().tiling.For(528, 16), (DecodeTiles{512, 64}));
  EXPECT_EQ(ZImagePipeline(options).facts().tiling.For(512, 512), DecodeTiles{}) << "fits one tile";
  options.tiled_vae = "off";
  EXPECT_EQ(ZImagePipeline(options).facts().tiling.For(4096, 4096), DecodeTiles{});
}

TEST(PipelineParity, TheDefaultShiftIsTheCheckpoints) {
  EXPECT_EQ(ZImagePipeline(Options("toy_a")).facts().default_shift, 3.0);
  EXPECT_EQ(ZImagePipeline(Options("toy_b")).facts().default_shift, 2.0);
}

TEST(PipelineParity, RefusesAVaeOfAnotherLatentAndMissingWeights) {
  ZImageOptions options = Options("toy_a");
  options.vae_path = parity::DataPath("toy_a/text_encoder");
  EXPECT_THROW(ZImagePipeline{options}, Error);
  options = Options("toy_a");
  options.transformer_path = parity::DataPath("toy_a/nowhere");
  EXPECT_THROW(ZImagePipeline{options}, Error);
}

TEST(PipelineParity, CancelEndsBeforeTheNextStep) {
  const ZImagePipeline pipeline(Options("toy_a"));
  const RenderParameters parameters{.width = 64, .height = 64, .steps = 50, .seed = 1};
  const at::Tensor rows = Golden("toy_a/golden_pipeline.safetensors")["plain.cap"];
  const CancelToken cancel;
  int steps = 0;
  RenderHooks hooks;
  hooks.on_progress = [&](const RenderProgress& p) {
    if (p.stage == RenderStage::kStep && ++steps == 3) cancel.Cancel();
  };
  EXPECT_THROW(pipeline.Paint(rows, {}, parameters, hooks, cancel), Error);
  EXPECT_EQ(steps, 3);
}

}  // namespace
}  // namespace diptych
