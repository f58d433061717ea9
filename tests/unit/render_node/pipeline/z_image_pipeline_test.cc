// What the pipeline does besides the right numbers: going on from a checkpoint, leaving when it is cancelled.
#include "render_node/pipeline/z_image_pipeline.h"

#include <ATen/ATen.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/parity/support/golden.h"
#include "tests/unit/render_node/pipeline/cancel_at.h"
#include "tests/unit/render_node/pipeline/toy_options.h"

namespace diptych {
namespace {

using parity::Golden;

struct Rows {
  explicit Rows(const std::string& toy) {
    const Golden golden(toy + "/golden_pipeline.safetensors");
    positive = golden["plain.cap"];
    negative = positive.flip(0) * 0.5;
  }
  at::Tensor positive, negative;  // [L, cap_feat_dim]
};

TEST(Defaults, OfASizeThatCannotBePaintedAreRoundedAndThatIsSaid) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "z_image_defaults";
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "model_index.json") << R"({"diptych": {"width": 100, "height": 64}})";
  ZImageOptions options = ToyOptions("toy_a");
  options.model_path = folder.string();
  const RendererFacts facts = ZImagePipeline(options).facts();
  EXPECT_EQ(facts.defaults.width, 96);
  EXPECT_EQ(facts.defaults.height, 64);
  EXPECT_EQ(std::count_if(facts.warnings.begin(), facts.warnings.end(),
                          [](const std::string& line) { return line.find("a side of 100") != std::string::npos; }),
            1);
  std::filesystem::remove_all(folder);
}

// The VAE's own folder with another shift_factor.
std::string VaeWithShift(const std::string& shift) {
  namespace fs = std::filesystem;
  const fs::path from = parity::DataPath("toy_a/vae"), to = fs::path(testing::TempDir()) / ("vae_shift_" + shift);
  fs::remove_all(to);
  fs::copy(from, to);
  std::ifstream file(from / "config.json");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string is = "\"shift_factor\": 0.1159";
  text.replace(text.find(is), is.size(), "\"shift_factor\": " + shift);
  fs::remove(to / "config.json");
  std::ofstream(to / "config.json") << text;
  return to.string();
}

TEST(Overflow, IsAFailureAndNoBlackPicture) {
  const Rows rows("toy_a");
  const RenderParameters parameters{.width = 64, .height = 32, .steps = 1, .seed = 7};
  for (const bool tiled : {false, true}) {
    for (const auto& [shift, fails] : {std::pair("1e308", true), std::pair("1e38", true), std::pair("1e6", false)}) {
      ZImageOptions options = ToyOptions("toy_a", tiled);
      options.vae_path = VaeWithShift(shift);
      const ZImagePipeline pipeline(options);
      try {
        const Picture picture = pipeline.Paint(rows.positive, {}, parameters, {}, {});
        EXPECT_FALSE(fails) << shift;
        EXPECT_EQ(picture.width, 64) << "far out, and a picture all the same";
      } catch (const Error& error) {
        EXPECT_TRUE(fails) << shift << ": " << error.what();
        EXPECT_EQ(error.code(), ErrorCode::kInternal);
        EXPECT_NE(std::string(error.what()).find("values that are no numbers"), std::string::npos) << error.what();
      }
      std::filesystem::remove_all(options.vae_path);
    }
  }
}

TEST(Resume, MakesThePictureOfTheUninterruptedRunByteForByte) {
  for (const std::string toy : parity::kToys) {
    const Rows rows(toy);
    for (const bool tiled : {false, true}) {
      const ZImagePipeline pipeline(ToyOptions(toy, tiled));
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
  const ZImagePipeline pipeline(ToyOptions("toy_a"));
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
    const char* stages[] = {"refined", "step", "tile", "decoded"};
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
  const ZImagePipeline pipeline(ToyOptions("toy_a"));
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
  const ZImagePipeline pipeline(ToyOptions("toy_a"));
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

// How many further operations of that name ran after a cancellation at the n-th of a picture's last stage before it.
int RunAfterCancel(RenderStage stage, const std::string& operation, int n) {
  const ZImagePipeline pipeline(ToyOptions("toy_a"));
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

// The renderer looks at the token within a few operations, whatever it does: noise, tables, captions, blocks, decoder.
TEST(Cancel, EndsAPictureWithinAFewOperationsWhereverItIs) {
  const ZImagePipeline pipeline(ToyOptions("toy_a", /*tiled=*/true));
  for (const char* operation : {"aten::normal_", "aten::polar", "aten::linear", "aten::bmm", "aten::conv2d"}) {
    const CancelToken cancel;
    CancelAt canceller(operation, 1, cancel);
    EXPECT_THROW(pipeline.Paint(Rows("toy_a").positive, Rows("toy_a").negative,
                                {.width = 128, .height = 128, .steps = 2, .seed = 1, .guidance_scale = 3}, {}, cancel),
                 Error)
        << operation;
    if (std::string_view(operation) != "aten::bmm") {  // an attention has two
      EXPECT_LE(canceller.after(), 1) << operation;
    }
  }
}

// How near two pictures are: what the rounding of larger matrix products may do, and no more.
void ExpectNear(const Picture& found, const Picture& wanted, const std::string& what) {
  ASSERT_EQ(found.rgb.size(), wanted.rgb.size()) << what;
  size_t equal = 0;
  int worst = 0;
  for (size_t i = 0; i < found.rgb.size(); ++i) {
    const int difference = std::abs(int{found.rgb[i]} - int{wanted.rgb[i]});
    equal += difference == 0;
    worst = std::max(worst, difference);
  }
  EXPECT_LE(worst, 1) << what;
  EXPECT_GE(static_cast<double>(equal), 0.999 * static_cast<double>(found.rgb.size())) << what;
}

// Three pictures that differ in all that may differ.
struct Three {
  explicit Three(double guidance) {
    const Rows rows("toy_a");
    for (const int64_t length : {7, 40, 70}) {  // of their captions
      PaintMember& member = members.emplace_back();
      member.positive = rows.positive.repeat({length / rows.positive.size(0) + 1, 1}).slice(0, 0, length);
      member.negative = guidance > 0 ? rows.negative : at::Tensor();
      const double own = static_cast<double>(length) / 70;
      member.parameters = {.width = 96,
                           .height = 64,
                           .steps = 4,
                           .seed = static_cast<uint64_t>(length),
                           .guidance_scale = guidance * own,
                           .cfg_normalization = own > 0.5 ? 1.0 : 0.0,
                           .cfg_truncation = own};
    }
  }

  Picture Alone(size_t i) const {
    const PaintMember& member = members[i];
    return pipeline.Paint(member.positive, member.negative, member.parameters, {}, CancelToken());
  }
  void PaintAll() {
    outcomes.assign(members.size(), {});
    pipeline.PaintTogether(members, {.ended =
                                         [this](size_t i, PictureOutcome outcome) {
                                           ended.push_back(i);
                                           outcomes[i] = std::move(outcome);
                                         },
                                     .parted =
                                         [this](size_t together, std::exception_ptr why) {
                                           EXPECT_TRUE(why);
                                           parted.push_back(together);
                                         }});
    EXPECT_EQ(std::set<size_t>(ended.begin(), ended.end()).size(), members.size());
    EXPECT_EQ(ended.size(), members.size()) << "each ends once";
  }
  void ExpectAsAlone(size_t i) {
    ASSERT_FALSE(outcomes[i].failure) << i;
    ExpectNear(outcomes[i].Take(), Alone(i), std::to_string(i));
  }

  const ZImagePipeline pipeline{ToyOptions("toy_a")};
  std::vector<PaintMember> members;
  std::vector<size_t> ended;  // in this order
  std::vector<PictureOutcome> outcomes;
  std::vector<size_t> parted;
};

TEST(Together, PicturesAreThoseThatWerePaintedAlone) {
  for (const double guidance : {0.0, 3.0}) {
    Three three(guidance);
    std::map<size_t, std::vector<std::string>> seen;
    std::vector<std::map<int32_t, double>> ms(3);
    for (size_t i = 0; i < 3; ++i) {
      three.members[i].hooks.on_latent = [&seen, i](const LatentState& state) {
        seen[i].push_back("latent " + std::to_string(state.step));
      };
      three.members[i].hooks.on_progress = [&seen, &ms, i](const RenderProgress& progress) {
        const char* stages[] = {"refined", "step", "tile", "decoded"};
        seen[i].push_back(stages[static_cast<int>(progress.stage)] + std::string(" ") + std::to_string(progress.step));
        EXPECT_EQ(progress.together, progress.stage == RenderStage::kStep ? 3 : 1);
        if (progress.stage == RenderStage::kStep) ms[i][progress.step] = progress.ms;
      };
    }
    three.PaintAll();
    for (size_t i = 0; i < 3; ++i) {
      three.ExpectAsAlone(i);
      EXPECT_EQ(seen[i], (std::vector<std::string>{"refined 0", "latent 1", "step 1", "latent 2", "step 2", "latent 3",
                                                   "step 3", "latent 4", "step 4", "decoded 4"}));
      EXPECT_EQ(ms[i], ms[0]) << "they took the same steps";
    }
    EXPECT_EQ(three.ended, (std::vector<size_t>{0, 1, 2}));
    EXPECT_TRUE(three.parted.empty());
  }
}

TEST(Together, ACancelledOneAndOneWhoseHookThrowsLeaveTheOthersInPeace) {
  Three three(0);
  three.members.push_back(three.members[0]);
  three.members[0].hooks.on_progress = [&](const RenderProgress& progress) {
    if (progress.stage == RenderStage::kStep && progress.step == 2) three.members[0].cancel.Cancel();
  };
  three.members[2].hooks.on_latent = [](const LatentState& state) {
    if (state.step == 3) throw Error(ErrorCode::kDataLoss, "the hook's");
  };
  three.members[3].parameters.seed = 99;
  three.members[3].parameters.cfg_truncation = -1;  // refused before the first step
  three.PaintAll();
  EXPECT_EQ(three.ended, (std::vector<size_t>{3, 0, 2, 1})) << "told at once";
  const auto code_of = [&](size_t i) {
    try {
      three.outcomes[i].Take();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code_of(0), ErrorCode::kCancelled);
  EXPECT_EQ(code_of(2), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(3), ErrorCode::kInvalidArgument);
  three.ExpectAsAlone(1);
  EXPECT_TRUE(three.parted.empty());
}

// While it lives, silu throws for a matrix of at least so many rows: in the feed-forward, where all tokens of all
// pictures are one matrix. It stands in for the kernel, for observers of operations are not meant to throw.
class FailFrom {
 public:
  explicit FailFrom(int64_t rows) { least_rows_ = rows; }

  static at::Tensor Silu(const at::Tensor& x) {
    if (x.dim() == 2 && x.size(0) >= least_rows_) throw std::bad_alloc();
    const c10::impl::ExcludeDispatchKeyGuard the_real_one(c10::DispatchKey::TESTING_ONLY_GenericMode);
    return at::silu(x);
  }

 private:
  static inline int64_t least_rows_ = 0;
  const c10::impl::IncludeDispatchKeyGuard intercept_{c10::DispatchKey::TESTING_ONLY_GenericMode};
};

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, m) { m.fallback(torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, TESTING_ONLY_GenericMode, m) { m.impl("silu", &FailFrom::Silu); }

// The pictures have 64, 96 and 128 tokens: 32 of the picture with pads, and 32, 64 and 96 of the caption.
TEST(Together, GoesOnOneByOneWhenTheMemoryIsTooSmallForAll) {
  Three three(0);
  {
    const FailFrom fail(150);
    three.PaintAll();
  }
  EXPECT_EQ(three.parted, (std::vector<size_t>{1}));
  for (size_t i = 0; i < 3; ++i) three.ExpectAsAlone(i);
}

TEST(Together, APictureThatIsTooLargeByItselfFailsAlone) {
  Three three(0);
  {
    const FailFrom fail(128);
    three.PaintAll();
  }
  EXPECT_EQ(three.parted, (std::vector<size_t>{1}));
  EXPECT_THROW(three.outcomes[2].Take(), std::bad_alloc);
  three.ExpectAsAlone(0);
  three.ExpectAsAlone(1);
}

TEST(Together, RefusesPicturesOfDifferentSteps) {
  for (const auto& change : std::vector<std::function<void(RenderParameters&)>>{
           [](RenderParameters& p) { p.width = 64; }, [](RenderParameters& p) { p.height = 96; },
           [](RenderParameters& p) { p.steps = 3; }, [](RenderParameters& p) { p.shift = 2; },
           [](RenderParameters& p) { p.guidance_scale = 1; }}) {
    Three three(0);
    three.members[1].negative = three.members[1].positive;
    change(three.members[1].parameters);
    EXPECT_FALSE(CanPaintTogether(three.members[0].parameters, three.members[1].parameters));
    EXPECT_THROW(three.PaintAll(), Error);
    EXPECT_TRUE(three.ended.empty());
  }
}

}  // namespace
}  // namespace diptych
