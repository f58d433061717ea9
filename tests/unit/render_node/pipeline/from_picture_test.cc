// Pictures that begin as another one, besides the right numbers: going on from a checkpoint, in company, leaving when
// they are cancelled, a VAE without an encoder.
#include <ATen/ATen.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/weights/checkpoint.h"
#include "common/weights/safetensors_writer.h"
#include "gtest/gtest.h"
#include "render_node/pipeline/z_image_pipeline.h"
#include "tests/parity/support/golden.h"
#include "tests/unit/render_node/pipeline/cancel_at.h"
#include "tests/unit/render_node/pipeline/toy_options.h"

namespace diptych {
namespace {

using parity::Golden;

Picture Source(int32_t width, int32_t height, int shift = 0) {
  Picture picture{width, height, {}};
  for (int32_t y = 0; y < height; ++y) {
    for (int32_t x = 0; x < width; ++x) {
      for (const int value : {4 * x + shift, 3 * y + 50, (x / 16 + y / 16) % 2 * 120 + shift}) {
        picture.rgb.push_back(static_cast<uint8_t>(value % 256));
      }
    }
  }
  return picture;
}

// The right half is repainted.
GreyPicture Half(int32_t width, int32_t height) {
  GreyPicture mask{width, height, {}};
  for (int32_t i = 0; i < width * height; ++i) mask.grey.push_back(i % width < width / 2 ? 0 : 255);
  return mask;
}

at::Tensor Caption(const std::string& toy) { return Golden(toy + "/golden_from_picture.safetensors")["cap"]; }

at::Tensor ToTensor(const LatentState& state) {
  return at::tensor(state.values).view({state.channels, state.height, state.width});
}

TEST(FromPicture, ResumesAfterEveryStepByteForByte) {
  const Picture source = Source(80, 32);
  const GreyPicture mask = Half(80, 32);
  for (const std::string toy : parity::kToys) {
    for (const bool tiled : {false, true}) {
      const ZImagePipeline pipeline(ToyOptions(toy, tiled));
      const at::Tensor rows = Caption(toy);
      for (const GreyPicture* of : {static_cast<const GreyPicture*>(nullptr), &mask}) {
        PaintMember member{.positive = rows,
                           .negative = rows.flip(0) * 0.5,
                           .parameters = {.width = 80, .height = 32, .steps = 5, .seed = 7, .guidance_scale = 2},
                           .source = &source,
                           .mask = of};
        member.parameters.strength = 0.7;
        member.parameters.soft_mask = true;
        std::vector<LatentState> states;
        member.hooks.on_latent = [&](const LatentState& state) { states.push_back(state); };
        const Picture whole = pipeline.Paint(member);
        ASSERT_EQ(states.size(), 4u);
        const std::vector<LatentState> kept = states;
        for (size_t k = 0; k < kept.size(); ++k) {
          EXPECT_EQ(kept[k].step, static_cast<int32_t>(k) + 1);
          states.clear();
          member.hooks.resume = &kept[k];
          EXPECT_EQ(pipeline.Paint(member).rgb, whole.rgb) << toy << ", tiled " << tiled << ", step " << k;
          ASSERT_EQ(states.size(), kept.size() - 1 - k);
          for (size_t i = 0; i < states.size(); ++i) EXPECT_EQ(states[i].values, kept[k + 1 + i].values);
        }
        LatentState late = kept.back();
        late.step = 5;
        member.hooks.resume = &late;
        EXPECT_THROW(pipeline.Paint(member), Error) << "it has 4 steps";
      }
    }
  }
}

// A picture from noise, two from different sources that enter the schedule later, one of them masked, and one that has
// nothing to do at all.
TEST(FromPicture, PaintsTogetherWithOthersWhatItPaintsAlone) {
  const ZImagePipeline pipeline(ToyOptions("toy_a"));
  const at::Tensor rows = Caption("toy_a");
  const Picture one = Source(96, 64), two = Source(96, 64, 77);
  const GreyPicture mask = Half(96, 64);
  std::vector<PaintMember> members(4);
  const double strengths[] = {1, 0.7, 0.4, 0};
  std::vector<std::vector<std::string>> seen(4);
  for (size_t i = 0; i < 4; ++i) {
    members[i].positive = rows;
    members[i].parameters = {.width = 96, .height = 64, .steps = 5, .seed = i, .strength = strengths[i]};
    if (i > 0) members[i].source = i == 1 ? &one : &two;
  }
  members[2].mask = &mask;
  std::vector<Picture> alone;
  for (const PaintMember& member : members) alone.push_back(pipeline.Paint(member));
  for (size_t i = 0; i < 4; ++i) {
    members[i].hooks.on_progress = [&seen, i](const RenderProgress& progress) {
      if (progress.stage != RenderStage::kStep) return;
      seen[i].push_back(std::to_string(progress.step) + " of " + std::to_string(progress.steps) + " with " +
                        std::to_string(progress.together));
    };
  }
  std::vector<Picture> together(4);
  pipeline.PaintTogether(members, {.ended = [&](size_t i, PictureOutcome outcome) { together[i] = outcome.Take(); }});
  using Lines = std::vector<std::string>;
  EXPECT_EQ(seen[0], (Lines{"1 of 5 with 1", "2 of 5 with 2", "3 of 5 with 2", "4 of 5 with 3", "5 of 5 with 3"}));
  EXPECT_EQ(seen[1], (Lines{"1 of 4 with 2", "2 of 4 with 2", "3 of 4 with 3", "4 of 4 with 3"}));
  EXPECT_EQ(seen[2], (Lines{"1 of 2 with 3", "2 of 2 with 3"}));
  EXPECT_TRUE(seen[3].empty());
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_EQ(together[i].rgb.size(), alone[i].rgb.size()) << i;
    size_t equal = 0;
    int worst = 0;
    for (size_t k = 0; k < alone[i].rgb.size(); ++k) {
      const int difference = std::abs(int{together[i].rgb[k]} - int{alone[i].rgb[k]});
      equal += difference == 0;
      worst = std::max(worst, difference);
    }
    EXPECT_LE(worst, 1) << i;
    EXPECT_GE(static_cast<double>(equal), 0.999 * static_cast<double>(alone[i].rgb.size())) << i;
  }
}

TEST(FromPicture, WhatIsWrongWithOneEndsThatOneAlone) {
  const ZImagePipeline pipeline(ToyOptions("toy_a"));
  const Picture wrong = Source(96, 32);
  std::vector<PaintMember> members(2);
  for (PaintMember& member : members) {
    member.positive = Caption("toy_a");
    member.parameters = {.width = 64, .height = 32, .steps = 2};
  }
  members[1].source = &wrong;
  std::string failure;
  pipeline.PaintTogether(members, {.ended = [&](size_t i, PictureOutcome outcome) {
                           try {
                             EXPECT_EQ(outcome.Take().width, 64);
                             EXPECT_EQ(i, 0u);
                           } catch (const Error& error) {
                             EXPECT_EQ(i, 1u);
                             failure = error.what();
                           }
                         }});
  EXPECT_EQ(failure, "the source is 96x32, the picture 64x32: they must have one size");
}

TEST(FromPicture, LeavesInTheMidstOfEncoding) {
  const Picture source = Source(128, 64);
  for (const bool tiled : {false, true}) {
    const ZImagePipeline pipeline(ToyOptions("toy_a", tiled));
    for (const int n : {1, 4, 9}) {
      const CancelToken cancel;
      CancelAt canceller("aten::conv2d", n, cancel);
      PaintMember member{.positive = Caption("toy_a"),
                         .parameters = {.width = 128, .height = 64, .steps = 2, .strength = 0.5},
                         .source = &source,
                         .cancel = cancel};
      member.hooks.on_progress = [](const RenderProgress&) { ADD_FAILURE() << "encoded to its end"; };
      try {
        pipeline.Paint(member);
        ADD_FAILURE() << "painted to its end";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kCancelled);
      }
      EXPECT_EQ(canceller.after(), 0) << n << ", tiled " << tiled;
    }
  }
}

TEST(FromPicture, ASoftMaskMixesAndAHardOneDecides) {
  const ZImagePipeline pipeline(ToyOptions("toy_a"));
  const Picture source = Source(64, 32);
  const GreyPicture third{64, 32, std::vector<uint8_t>(64 * 32, 85)};
  const GreyPicture two_thirds{64, 32, std::vector<uint8_t>(64 * 32, 170)};
  const auto latent_of = [&](const GreyPicture* mask, double strength, bool soft) {
    LatentState last;
    PaintMember member{.positive = Caption("toy_a"),
                       .parameters = {.width = 64, .height = 32, .steps = 1, .seed = 3},
                       .source = &source,
                       .mask = mask};
    member.parameters.strength = strength;
    member.parameters.soft_mask = soft;
    member.hooks.on_latent = [&](const LatentState& state) { last = state; };
    pipeline.Paint(member);
    return ToTensor(last);
  };
  const at::Tensor painted = latent_of(nullptr, 1, true), kept = latent_of(&third, 1, false);
  EXPECT_TRUE(latent_of(&two_thirds, 1, false).equal(painted));
  EXPECT_TRUE(latent_of(&third, 1, true).allclose(kept * 2 / 3 + painted / 3, 1e-5, 1e-5));
}

TEST(FromPicture, ShowsPreviewsOfItsOwnStepsAndTheyChangeNoBit) {
  const ZImagePipeline pipeline(ToyOptions("toy_a"));
  const Picture source = Source(64, 32);
  const GreyPicture mask = Half(64, 32);
  PaintMember member{.positive = Caption("toy_a"),
                     .parameters = {.width = 64, .height = 32, .steps = 6, .seed = 3, .strength = 0.7},
                     .source = &source,
                     .mask = &mask};
  const Picture without = pipeline.Paint(member);
  std::vector<int32_t> steps;
  member.hooks.preview_every = 1;
  member.hooks.on_preview = [&](const Picture& preview, int32_t step) {
    EXPECT_EQ(preview.width, 8);
    EXPECT_EQ(preview.height, 4);
    steps.push_back(step);
  };
  EXPECT_EQ(pipeline.Paint(member).rgb, without.rgb);
  EXPECT_EQ(steps, (std::vector<int32_t>{1, 2, 3, 4})) << "of 5, but not after the last";
}

TEST(FromPicture, InBfloat16ItIsAPictureNearTheSource) {
  ZImageOptions options = ToyOptions("toy_b");
  options.torch_dtype = "bfloat16";
  const ZImagePipeline pipeline(options);
  const Picture source = Source(64, 32);
  const GreyPicture mask = Half(64, 32);
  PaintMember member{.positive = Caption("toy_b"),
                     .parameters = {.width = 64, .height = 32, .steps = 2, .seed = 3},
                     .source = &source,
                     .mask = &mask};
  std::vector<at::Tensor> latents;
  member.hooks.on_latent = [&](const LatentState& state) { latents.push_back(ToTensor(state)); };
  pipeline.Paint(member);
  const at::Tensor kept = latents.back().slice(2, 0, 4);
  EXPECT_TRUE(kept.equal(kept.to(at::kBFloat16).to(at::kFloat))) << "x0 as the reference in bfloat16 has it";
  EXPECT_FALSE(latents.back().equal(latents.back().to(at::kBFloat16).to(at::kFloat))) << "the steps are fp32";
}

TEST(FromPicture, SaysWhatItWillDo) {
  const ZImagePipeline pipeline(ToyOptions("toy_a"));
  const Picture source = Source(64, 32);
  PaintMember member{.positive = Caption("toy_a"),
                     .parameters = {.width = 64, .height = 32, .steps = 4, .strength = 0.5},
                     .source = &source};
  member.hooks.on_progress = [&](const RenderProgress& progress) {
    if (progress.stage != RenderStage::kRefined) return;
    EXPECT_NE(progress.plan.find(", sigmas 0.75 0.5 0, from a picture at strength 0.5"), std::string::npos)
        << progress.plan;
    EXPECT_EQ(progress.sigma, 0.75);
  };
  pipeline.Paint(member);
}

// The toy's VAE in a folder of its own, without the tensors that `gone` names.
class VaeLess {
 public:
  explicit VaeLess(const std::function<bool(std::string_view)>& gone) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::filesystem::copy(parity::DataPath("toy_a/vae/config.json"), folder_ / "config.json");
    const auto whole = Checkpoint::Open(parity::DataPath("toy_a/vae"));
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, tensor] : whole->tensors()) {
      if (gone(name)) continue;
      tensors.push_back({{name, tensor.entry->dtype, tensor.entry->shape},
                         {tensor.entry->data, static_cast<size_t>(tensor.entry->byte_count)}});
    }
    WriteSafetensors((folder_ / "diffusion_pytorch_model.safetensors").string(), tensors);
  }
  ~VaeLess() { std::filesystem::remove_all(folder_); }
  ZImageOptions ToyOptions() const {
    ZImageOptions options = diptych::ToyOptions("toy_a");
    options.vae_path = folder_.string();
    return options;
  }
  std::filesystem::path folder() const { return folder_; }

 private:
  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / "vae_less";
};

std::string RefusalOf(const ZImagePipeline& pipeline) {
  const Picture source = Source(64, 32);
  PaintMember member{.positive = Caption("toy_a"),
                     .parameters = {.width = 64, .height = 32, .steps = 2, .strength = 0.5},
                     .source = &source};
  try {
    pipeline.Paint(member);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
    return error.what();
  }
  return "";
}

TEST(VaeWithoutEncoder, PaintsAndRefusesASourceNamingWhatIsMissing) {
  const VaeLess vae([](std::string_view name) { return name.starts_with("encoder."); });
  const ZImagePipeline pipeline(vae.ToyOptions()), whole(ToyOptions("toy_a"));
  EXPECT_TRUE(pipeline.facts().warnings.empty()) << "as many others";
  const RenderParameters parameters{.width = 64, .height = 32, .steps = 2, .seed = 1};
  EXPECT_EQ(pipeline.Paint(Caption("toy_a"), {}, parameters, {}, {}).rgb,
            whole.Paint(Caption("toy_a"), {}, parameters, {}, {}).rgb);
  const std::string refusal = RefusalOf(pipeline);
  EXPECT_EQ(refusal.rfind("no picture can begin as another one here: ", 0), 0u) << refusal;
  EXPECT_NE(refusal.find("encoder.conv_in.weight"), std::string::npos) << refusal;
  EXPECT_EQ(RefusalOf(whole), "");
}

TEST(VaeWithoutEncoder, OfWhichAPartIsThereIsAWarningToo) {
  const VaeLess vae([](std::string_view name) { return name == "encoder.mid_block.resnets.1.conv2.bias"; });
  const ZImagePipeline pipeline(vae.ToyOptions());
  ASSERT_EQ(pipeline.facts().warnings.size(), 1u);
  EXPECT_NE(pipeline.facts().warnings[0].find("encoder.mid_block.resnets.1.conv2.bias"), std::string::npos);
  EXPECT_NE(RefusalOf(pipeline).find("encoder.mid_block.resnets.1.conv2.bias"), std::string::npos);
}

TEST(VaeWithoutEncoder, IsOneWhoseConfigurationAsksForAnother) {
  const VaeLess vae([](std::string_view) { return false; });
  std::ifstream file(vae.folder() / "config.json");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string is = "\"use_quant_conv\": false";
  text.replace(text.find(is), is.size(), "\"use_quant_conv\": true");
  std::ofstream(vae.folder() / "config.json") << text;
  EXPECT_NE(RefusalOf(ZImagePipeline(vae.ToyOptions())).find("\"use_quant_conv\" is true; only false is supported"),
            std::string::npos);
}

}  // namespace
}  // namespace diptych
