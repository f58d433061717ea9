// Pictures that begin as another one, whole or but for a mask, against diffusers' ZImageImg2ImgPipeline and
// ZImageInpaintPipeline.
#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/pipeline/z_image_pipeline.h"
#include "tests/parity/support/golden.h"

namespace diptych {
namespace {

using parity::Golden;

constexpr const char* kFile = "/golden_from_picture.safetensors";

ZImageOptions OptionsOf(const std::string& model) {
  ZImageOptions options;
  options.transformer_path = model + "/transformer";
  options.vae_path = model + "/vae";
  options.scheduler_path = model + "/scheduler";
  options.torch_dtype = "float32";
  options.device = options.vae_device = "cpu";
  return options;
}

ZImageOptions Options(const std::string& toy) { return OptionsOf(parity::DataPath(toy)); }

std::vector<uint8_t> Bytes(const at::Tensor& tensor) {
  return {tensor.data_ptr<uint8_t>(), tensor.data_ptr<uint8_t>() + tensor.numel()};
}

Picture ToPicture(const at::Tensor& pixels) {  // [H, W, 3]
  return {static_cast<int32_t>(pixels.size(1)), static_cast<int32_t>(pixels.size(0)), Bytes(pixels)};
}

GreyPicture ToMask(const at::Tensor& pixels) {  // [H, W]
  return {static_cast<int32_t>(pixels.size(1)), static_cast<int32_t>(pixels.size(0)), Bytes(pixels)};
}

at::Tensor ToTensor(const LatentState& state) {
  return at::tensor(state.values).view({state.channels, state.height, state.width});
}

RenderParameters ParametersOf(const nlohmann::json& settings) {
  RenderParameters parameters{.width = settings["width"], .height = settings["height"], .steps = settings["steps"]};
  parameters.seed = settings["seed"];
  parameters.shift = settings["shift"];
  parameters.strength = settings["strength"];
  parameters.guidance_scale = settings["guidance"];
  parameters.cfg_normalization = settings["normalization"].get<bool>() ? 1.0 : 0.0;
  parameters.cfg_truncation = settings["truncation"];
  return parameters;
}

void ExpectSamePixels(const Picture& found, const at::Tensor& pixels, const std::string& what) {
  const at::Tensor ours = at::from_blob(const_cast<uint8_t*>(found.rgb.data()), {found.height, found.width, 3},
                                        at::TensorOptions().dtype(at::kByte));
  ASSERT_EQ(ours.sizes(), pixels.sizes());
  const at::Tensor difference = (ours.to(at::kInt) - pixels.to(at::kInt)).abs();
  EXPECT_LE(difference.max().item<int>(), 1) << what;
  EXPECT_GE(difference.eq(0).to(at::kDouble).mean().item<double>(), 0.999) << what;
}

TEST(FromPictureParity, LatentsAndPixelsEqualDiffusersInFp32) {
  for (const std::string toy : parity::kToys) {
    const ZImagePipeline pipeline(Options(toy));
    const Golden golden(toy + kFile);
    const nlohmann::json cases = nlohmann::json::parse(golden.json())["cases"];
    ASSERT_EQ(cases.size(), 8u);
    for (const auto& [name, settings] : cases.items()) {
      const std::string what = toy + " " + name;
      const Picture source = ToPicture(golden[name + ".picture"]);
      const bool masked = settings["mask"];
      const GreyPicture mask = masked ? ToMask(golden[name + ".mask"]) : GreyPicture{};
      PaintMember member{.positive = golden["cap"], .parameters = ParametersOf(settings), .source = &source};
      if (member.parameters.guidance_scale > 0) member.negative = golden["negative_cap"];
      if (masked) member.mask = &mask;
      const int32_t evaluations = settings["evaluations"];
      std::vector<at::Tensor> steps;
      member.hooks.on_latent = [&](const LatentState& state) {
        steps.push_back(ToTensor(state));
        EXPECT_EQ(state.step, static_cast<int32_t>(steps.size())) << what;
      };
      member.hooks.on_progress = [&](const RenderProgress& progress) {
        EXPECT_EQ(progress.steps, evaluations) << what;
      };
      const Picture found = pipeline.Paint(member);
      ASSERT_EQ(steps.size(), static_cast<size_t>(evaluations)) << what;
      for (int32_t i = 0; i + 1 < evaluations; ++i) {
        const std::string step = name + ".step." + std::to_string(i);
        ASSERT_TRUE(golden.Has(step) == golden.Has(name + ".step.0")) << step;
        if (!golden.Has(step)) continue;
        EXPECT_LE(parity::RelativeDifference(steps[i], golden[step].squeeze(0)), 1e-4) << toy << " " << step;
      }
      EXPECT_LE(parity::RelativeDifference(steps.back(), golden[name + ".latents"].squeeze(0)), 1e-4) << what;
      ExpectSamePixels(found, golden[name + ".pixels"], what);
    }
  }
}

TEST(FromPictureParity, AtStrength0ItIsWhatTheVaeMakesOfIt) {
  for (const std::string toy : parity::kToys) {
    const ZImagePipeline pipeline(Options(toy));
    const Golden golden(toy + kFile);
    const Picture source = ToPicture(golden["round_trip.picture"]);
    const GreyPicture mask{64, 48, std::vector<uint8_t>(64 * 48, 200)};
    for (const GreyPicture* of : {static_cast<const GreyPicture*>(nullptr), &mask}) {
      PaintMember member{.positive = golden["cap"],
                         .parameters = {.width = 64, .height = 48, .steps = 8, .seed = 8, .strength = 0},
                         .source = &source,
                         .mask = of};
      std::string stages;
      member.hooks.on_progress = [&](const RenderProgress& progress) {
        stages += progress.stage == RenderStage::kRefined   ? "refined "
                  : progress.stage == RenderStage::kDecoded ? "decoded "
                                                            : "other ";
        EXPECT_EQ(progress.step, 0);
        EXPECT_EQ(progress.steps, 0);
      };
      ExpectSamePixels(pipeline.Paint(member), golden["round_trip.pixels"], toy);
      EXPECT_EQ(stages, "refined decoded ");
    }
  }
}

// What the reference keeps in the latent is the source's, exactly; so is ours.
TEST(FromPictureParity, WhatAMaskKeepsEndsAsTheSourcesLatent) {
  for (const std::string toy : parity::kToys) {
    const ZImagePipeline pipeline(Options(toy));
    const Golden golden(toy + kFile);
    const Picture source = ToPicture(golden["inpaint.picture"]);
    const GreyPicture mask = ToMask(golden["inpaint.mask"]), all{64, 48, std::vector<uint8_t>(64 * 48, 127)};
    const auto latent_of = [&](const GreyPicture& of) {
      at::Tensor last;
      PaintMember member{.positive = golden["cap"],
                         .parameters = {.width = 64, .height = 48, .steps = 8, .seed = 4},
                         .source = &source,
                         .mask = &of};
      member.parameters.shift = pipeline.facts().default_shift;
      member.hooks.on_latent = [&](const LatentState& state) { last = ToTensor(state); };
      pipeline.Paint(member);
      return last;
    };
    const at::Tensor found = latent_of(mask), kept = latent_of(all);  // 127: nothing is repainted
    EXPECT_LE(parity::RelativeDifference(kept, golden["inpaint.clean"].squeeze(0)), 1e-4) << toy;
    const at::Tensor keep = golden["inpaint.mask"].slice(0, 0, 48, 8).slice(1, 0, 64, 8).lt(128).expand_as(found);
    EXPECT_TRUE(found.masked_select(keep).equal(kept.masked_select(keep))) << toy;
    EXPECT_FALSE(found.masked_select(keep.logical_not()).allclose(kept.masked_select(keep.logical_not()), 0, 0.1));
  }
}

// With the model that is shipped: two green squares above a yellow triangle become red, or hearts.
TEST(FromPictureParity, TheDemoModelMakesOfItsOwnPictureWhatItMakesInDiffusers) {
  const ZImagePipeline pipeline(OptionsOf(DIPTYCH_SOURCE_DIR "/models/demo"));
  const Golden golden("demo/golden_from_picture.safetensors");
  const Picture source = ToPicture(Golden("demo/golden_pipeline.safetensors")["rows.pixels"]);
  GreyPicture upper_half{128, 128, std::vector<uint8_t>(128 * 128)};
  std::fill_n(upper_half.grey.begin(), 128 * 64, uint8_t{255});
  for (const auto& [name, settings] : nlohmann::json::parse(golden.json())["cases"].items()) {
    PaintMember member{
        .positive = golden[name + ".cap"], .parameters = ParametersOf(settings), .source = &source, .mask = nullptr};
    if (settings["mask"]) member.mask = &upper_half;
    ExpectSamePixels(pipeline.Paint(member), golden[name + ".pixels"], name);
  }
}

}  // namespace
}  // namespace diptych
