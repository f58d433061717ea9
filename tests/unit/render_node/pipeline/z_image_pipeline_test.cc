// What the pipeline does besides the right numbers: going on from a checkpoint, leaving when it is cancelled.
#include "render_node/pipeline/z_image_pipeline.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/parity/support/golden.h"

namespace diptych {
namespace {

using parity::Golden;

// Whole, or in tiles of 8 latent pixels, the smallest that there are.
ZImageOptions Options(const std::string& toy, bool tiled = false) {
  ZImageOptions options;
  options.transformer_path = parity::DataPath(toy + "/transformer");
  options.vae_path = parity::DataPath(toy + "/vae");
  options.scheduler_path = parity::DataPath(toy + "/scheduler");
  options.torch_dtype = "float32";
  options.device = options.vae_device = "cpu";
  if (tiled) {
    options.tiled_vae = "on";
    options.tile_size = 64;
    options.tile_overlap = 16;
  }
  return options;
}

struct Rows {
  explicit Rows(const std::string& toy) {
    const Golden golden(toy + "/golden_pipeline.safetensors");
    positive = golden["plain.cap"];
    negative = positive.flip(0) * 0.5;
  }
  at::Tensor positive, negative;  // [L, cap_feat_dim]
};

TEST(Resume, MakesThePictureOfTheUninterruptedRunByteForByte) {
  for (const std::string toy : parity::kToys) {
    const Rows rows(toy);
    for (const bool tiled : {false, true}) {
      const ZImagePipeline pipeline(Options(toy, tiled));
      for (const double guidance : {0.0, 3.0}) {
        if (toy == std::string("toy_b") && !tiled) continue;  // keeps the test short
        const RenderParameters parameters{.width = 80,
                                          .height = 32,
                                          .steps = 3,
                                          .seed = 7,
                                          .guidance_scale = guidance,
                                          .cfg_normalization = 1.0,
                                          .cfg_truncation = 0.5};
        ASSERT_EQ(pipeline.facts().tiling.For(80, 32).size, tiled ? 64 : 0);
        std::vector<LatentState> states;
        RenderHooks watch;
        watch.on_latent = [&](const LatentState& state) { states.push_back(state); };
        const Picture whole = pipeline.Paint(rows.positive, rows.negative, parameters, watch, CancelToken());
        ASSERT_EQ(states.size(), 3u);
        for (size_t k = 0; k < states.size(); ++k) {
          ASSERT_EQ(states[k].step, static_cast<int32_t>(k) + 1);
          std::vector<LatentState> later;
          RenderHooks hooks;
          hooks.resume = &states[k];
          hooks.on_latent = [&](const LatentState& state) { later.push_back(state); };
          const Picture resumed = pipeline.Paint(rows.positive, rows.negative, parameters, hooks, CancelToken());
          EXPECT_EQ(resumed.rgb, whole.rgb)
              << toy << ", tiled " << tiled << ", guidance " << guidance << ", step " << k;
          ASSERT_EQ(later.size(), states.size() - 1 - k);
          for (size_t i = 0; i < later.size(); ++i) EXPECT_EQ(later[i].values, states[k + 1 + i].values);
        }
      }
    }
  }
}

TEST(Resume, ReportsTheStepsThatAreLeft) {
  const ZImagePipeline pipeline(Options("toy_a"));
  const Rows rows("toy_a");
  const RenderParameters parameters{.width = 64, .height = 64, .steps = 3, .seed = 1};
  std::vector<LatentState> states;
  RenderHooks hooks;
  hooks.on_latent = [&](const LatentState& state) { states.push_back(state); };
  std::vector<std::string> seen;
  hooks.on_progress = [&](const RenderProgress& progress) {
    if (progress.stage == RenderStage::kStep) {
      EXPECT_EQ(states.back().step, progress.step) << "the latent comes before the report";
    }
    const char* stages[] = {"refined", "step", "decoded"};
    seen.push_back(stages[static_cast<int>(progress.stage)] + std::string(" ") + std::to_string(progress.step));
    if (progress.stage == RenderStage::kRefined && hooks.resume != nullptr) {
      EXPECT_NE(progress.plan.find(", resumed after step " + std::to_string(progress.step)), std::string::npos)
          << progress.plan;
    }
  };
  pipeline.Paint(rows.positive, {}, parameters, hooks, CancelToken());
  EXPECT_EQ(seen, (std::vector<std::string>{"refined 0", "step 1", "step 2", "step 3", "decoded 3"}));
  const std::vector<LatentState> kept = states;
  seen.clear();
  hooks.resume = &kept[1];
  pipeline.Paint(rows.positive, {}, parameters, hooks, CancelToken());
  EXPECT_EQ(seen, (std::vector<std::string>{"refined 2", "step 3", "decoded 3"}));
  seen.clear();
  hooks.resume = &kept[2];
  pipeline.Paint(rows.positive, {}, parameters, hooks, CancelToken());
  EXPECT_EQ(seen, (std::vector<std::string>{"refined 3", "decoded 3"}));
}

TEST(Resume, RefusesTheLatentOfAnotherPicture) {
  const ZImagePipeline pipeline(Options("toy_a"));
  const Rows rows("toy_a");
  LatentState state;
  RenderHooks hooks;
  hooks.on_latent = [&](const LatentState& latest) { state = latest; };
  RenderParameters parameters{.width = 64, .height = 96, .steps = 2, .seed = 1};
  pipeline.Paint(rows.positive, {}, parameters, hooks, CancelToken());
  hooks = {};
  hooks.resume = &state;
  const auto refusal = [&] {
    try {
      pipeline.Paint(rows.positive, {}, parameters, hooks, CancelToken());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return std::string(error.what());
    }
    return std::string("none");
  };
  parameters.steps = 1;
  EXPECT_EQ(refusal(), "cannot resume after step 2: this picture has 1 steps");
  parameters = {.width = 96, .height = 64, .steps = 2};
  EXPECT_NE(refusal().find("x 12 x 8: this picture's is "), std::string::npos) << refusal();
}

TEST(Preview, ComesEverySoManyStepsBeforeTheReportAndChangesNoBit) {
  const ZImagePipeline pipeline(Options("toy_a"));
  const Rows rows("toy_a");
  const RenderParameters parameters{.width = 64, .height = 96, .steps = 4, .seed = 1};
  const Picture without = pipeline.Paint(rows.positive, {}, parameters, {}, CancelToken());
  std::vector<int32_t> steps;
  int32_t reported = 0;
  LatentState first_step;
  RenderHooks hooks;
  hooks.preview_every = 2;
  hooks.on_latent = [&](const LatentState& state) {
    if (state.step == 1) first_step = state;
  };
  hooks.on_progress = [&](const RenderProgress& progress) { reported = progress.step; };
  hooks.on_preview = [&](const Picture& preview, int32_t step) {
    EXPECT_EQ(preview.width, 8);
    EXPECT_EQ(preview.height, 12);
    EXPECT_EQ(preview.rgb.size(), 3u * 8 * 12);
    EXPECT_EQ(reported, step - 1);
    steps.push_back(step);
  };
  EXPECT_EQ(pipeline.Paint(rows.positive, {}, parameters, hooks, CancelToken()).rgb, without.rgb);
  EXPECT_EQ(steps, (std::vector<int32_t>{2})) << "not after the last: the picture itself comes next";

  steps.clear();
  hooks.preview_every = 1;
  hooks.resume = &first_step;
  EXPECT_EQ(pipeline.Paint(rows.positive, {}, parameters, hooks, CancelToken()).rgb, without.rgb);
  EXPECT_EQ(steps, (std::vector<int32_t>{2, 3}));

  steps.clear();
  hooks.preview_every = 0;
  pipeline.Paint(rows.positive, {}, parameters, hooks, CancelToken());
  EXPECT_TRUE(steps.empty());
}

// Cancels when the n-th operation of that name begins in this thread, and counts those after it.
class CancelAt {
 public:
  CancelAt(const std::string& name, int n, CancelToken cancel) : cancel_(std::move(cancel)), n_(n) {
    current_ = this;
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback([](const at::RecordFunction& op) -> std::unique_ptr<at::ObserverContext> {
          current_->Saw(op.name());
          return nullptr;
        }).scopes({at::RecordScope::FUNCTION}));
    name_ = name;
  }
  ~CancelAt() { at::removeCallback(handle_); }
  int after() const { return after_; }

 private:
  void Saw(std::string_view name) {
    if (name != name_) return;
    if (n_ == 0) ++after_;
    if (n_ > 0 && --n_ == 0) cancel_.Cancel();
  }

  static inline CancelAt* current_ = nullptr;
  const CancelToken cancel_;
  std::string name_;
  int n_, after_ = 0;
  at::CallbackHandle handle_;
};

// How many further operations of that name ran after a cancellation at the n-th of a picture's last stage before it.
int RunAfterCancel(RenderStage stage, const std::string& operation, int n) {
  const ZImagePipeline pipeline(Options("toy_a"));
  const CancelToken cancel;
  std::unique_ptr<CancelAt> canceller;
  RenderHooks hooks;
  hooks.on_progress = [&](const RenderProgress& progress) {
    EXPECT_FALSE(canceller) << "a stage was finished after the cancellation";
    if (progress.stage == stage && (stage == RenderStage::kRefined || progress.step == progress.steps)) {
      canceller = std::make_unique<CancelAt>(operation, n, cancel);
    }
  };
  try {
    pipeline.Paint(Rows("toy_a").positive, {}, {.width = 64, .height = 64, .steps = 2, .seed = 1}, hooks, cancel);
    ADD_FAILURE() << "painted to its end";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  return canceller == nullptr ? -1 : canceller->after();
}

TEST(Cancel, EndsAStepBetweenTwoBlocks) {
  // A block takes two tanh, for its gates: cancelled at the first_step, no further block begins.
  EXPECT_EQ(RunAfterCancel(RenderStage::kRefined, "aten::tanh", 2), 0);
}

TEST(Cancel, EndsAnUntiledDecodeBetweenTwoStages) {
  EXPECT_EQ(RunAfterCancel(RenderStage::kStep, "aten::upsample_nearest2d", 1), 0);
}

}  // namespace
}  // namespace diptych
