// The transformer against diffusers, tap by tap, and against the published numbers of a model filled by formula.
#include <ATen/ATen.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/error.h"
#include "common/nn/pieces.h"
#include "gtest/gtest.h"
#include "render_node/dit/context_refiner.h"
#include "render_node/dit/dit.h"
#include "tests/parity/support/golden.h"

namespace diptych::dit {
namespace {

using parity::Golden;

struct Loaded {
  Loaded(const std::string& toy, at::ScalarType dtype)
      : config(Config::Parse(parity::ConfigText(toy, "transformer"), toy)),
        weights(parity::Weights(toy, "transformer", dtype)),
        refiner(weights, config),
        dit(weights, config) {}

  at::Tensor Run(const Golden& golden, const std::string& example, const Tap& tap) const {
    const at::Tensor latent = golden[example + ".latent"].squeeze(1);  // [C, h, w]
    const at::Tensor caption = refiner.Refine(golden[example + ".cap"], tap);
    const auto canvas = dit.Prepare(latent.size(1), latent.size(2), caption);
    return dit.Velocity(latent, golden[example + ".t"].item<double>(), *canvas, tap);
  }

  const Config config;
  const WeightView weights;
  const ContextRefiner refiner;
  const Dit dit;
};

TEST(DitParity, EveryTapEqualsDiffusersInFp32) {
  for (const std::string toy : parity::kToys) {
    const Loaded model(toy, at::kFloat);
    const Golden golden(toy + "/golden_dit.safetensors");
    for (const std::string example : {"c0", "c1"}) {
      parity::TapComparison taps(golden, example + ".");
      const at::Tensor output = model.Run(golden, example, taps.tap());
      // t_embedder, x_embedder, cap_embedder, both refiners, the layers.
      EXPECT_LE(parity::RelativeDifference(output, golden[example + ".output"].squeeze(1)), 1e-4)
          << toy << " " << example;
      EXPECT_LE(taps.worst(), 1e-4) << toy << " " << taps.worst_name();
      EXPECT_EQ(taps.compared(), static_cast<size_t>(3 + 2 * model.config.n_refiner_layers + model.config.n_layers));
    }
  }
}

TEST(DitParity, Bf16StaysWithinTheReferencesOwnDistanceFromFp32) {
  for (const std::string toy : parity::kToys) {
    const Loaded model(toy, at::kBFloat16);
    const Golden golden(toy + "/golden_dit.safetensors");
    for (const std::string example : {"c0", "c1"}) {
      const at::Tensor fp32 = golden[example + ".output"].squeeze(1),
                       theirs = golden[example + ".bf16.output"].squeeze(1);
      const at::Tensor ours = model.Run(golden, example, {});
      const double our_error = (ours - fp32).norm().item<double>(), their_error = (theirs - fp32).norm().item<double>();
      EXPECT_LE(our_error, 1.25 * their_error) << toy << " " << example;
    }
  }
}

// As a picture of many pixels is painted: no product, norm or attention over more than a few rows at a time.
TEST(DitParity, InPiecesItIsTheSameNetworkAndSomebodyLooksInsideEachBlock) {
  for (const std::string toy : parity::kToys) {
    const Loaded model(toy, at::kFloat);
    const Golden golden(toy + "/golden_dit.safetensors");
    int looks = 0;
    const Pause pause = [&looks] { ++looks; };
    const auto run = [&](double piece_flops) {
      const nn::PauseScope scope(pause, piece_flops);
      looks = 0;
      return model.Run(golden, "c0", {});
    };
    const at::Tensor whole = run(0);
    EXPECT_TRUE(model.Run(golden, "c0", {}).equal(whole)) << "whether somebody looks changes nothing";
    const int64_t blocks = model.config.n_layers + 2 * model.config.n_refiner_layers;
    const int at_least_in_a_block = looks;
    EXPECT_GE(looks, 8 * blocks) << "after each product at least";
    EXPECT_LE(parity::RelativeDifference(run(1), whole), 1e-5) << toy;
    EXPECT_LE(parity::RelativeDifference(run(1), golden["c0.output"].squeeze(1)), 1e-4) << toy;
    EXPECT_GT(looks, 2 * at_least_in_a_block) << "pieces of 16 rows";
  }
}

TEST(DitParity, WhoLeavesInTheMiddleOfABlockStopsItThere) {
  const Loaded model("toy_a", at::kFloat);
  const Golden golden("toy_a/golden_dit.safetensors");
  for (const int leave_at : {1, 5, 50}) {
    int looks = 0;
    const Pause pause = [&] {
      if (++looks >= leave_at) throw Error(ErrorCode::kCancelled, "cancelled");
    };
    const nn::PauseScope scope(pause, 1);
    EXPECT_THROW(model.Run(golden, "c0", {}), Error);
    EXPECT_EQ(looks, leave_at);
  }
}

// Three pictures of different sizes with captions of different lengths; the goldens' two, and one of our own.
TEST(DitParity, SeveralPicturesTogetherAreWhatEachIsAlone) {
  for (const std::string toy : parity::kToys) {
    const Loaded model(toy, at::kFloat);
    const Golden golden(toy + "/golden_dit.safetensors");
    const at::Tensor long_caption = at::cat({golden["c0.cap"], golden["c1.cap"].flip(0), golden["c0.cap"] * 0.5});
    const std::vector<at::Tensor> captions = {golden["c0.cap"], golden["c1.cap"], long_caption};
    const std::vector<at::Tensor> latents = {golden["c0.latent"].squeeze(1), golden["c1.latent"].squeeze(1),
                                             golden["c1.latent"].squeeze(1).flip(1)};
    std::set<int64_t> lengths;
    std::vector<std::shared_ptr<const Canvas>> canvases;
    std::vector<const Canvas*> all;
    for (size_t i = 0; i < captions.size(); ++i) {
      lengths.insert(captions[i].size(0));
      canvases.push_back(model.dit.Prepare(latents[i].size(1), latents[i].size(2), model.refiner.Refine(captions[i])));
      all.push_back(canvases.back().get());
    }
    ASSERT_EQ(lengths.size(), 3u);
    const double t = golden["c0.t"].item<double>();
    std::vector<at::Tensor> blocks_together;
    const std::vector<at::Tensor> together =
        model.dit.Velocities(latents, t, all, [&](std::string_view name, const at::Tensor& x) {
          if (name.starts_with("layers.")) blocks_together.push_back(x);
        });
    ASSERT_EQ(together.size(), 3u);
    int64_t begin = 0;
    for (size_t i = 0; i < together.size(); ++i) {
      std::vector<at::Tensor> blocks;
      const at::Tensor alone =
          model.dit.Velocity(latents[i], t, *canvases[i], [&](std::string_view name, const at::Tensor& x) {
            if (name.starts_with("layers.")) blocks.push_back(x);
          });
      EXPECT_LE(parity::RelativeDifference(together[i], alone), 1e-5) << toy << " " << i;
      EXPECT_TRUE(model.dit.Velocities({latents[i]}, t, {all[i]})[0].equal(alone)) << "of one no bit changes";
      ASSERT_EQ(blocks.size(), blocks_together.size());
      const int64_t tokens = blocks[0].size(0);
      for (size_t k = 0; k < blocks.size(); ++k) {
        EXPECT_LE(parity::RelativeDifference(blocks_together[k].narrow(0, begin, tokens), blocks[k]), 1e-5)
            << toy << " " << i << " layers." << k;
      }
      begin += tokens;
    }
    EXPECT_EQ(begin, blocks_together[0].size(0)) << "no filler";
  }
}

TEST(DitParity, TogetherBf16StaysAsNearToFp32AsAlone) {
  for (const std::string toy : parity::kToys) {
    const Loaded model(toy, at::kBFloat16);
    const Golden golden(toy + "/golden_dit.safetensors");
    std::vector<std::shared_ptr<const Canvas>> canvases;
    std::vector<at::Tensor> latents;
    std::vector<const Canvas*> all;
    const std::vector<std::string> examples = {"c0", "c1"};
    for (const std::string& example : examples) {
      latents.push_back(golden[example + ".latent"].squeeze(1));
      const at::Tensor caption = model.refiner.Refine(golden[example + ".cap"]);
      canvases.push_back(model.dit.Prepare(latents.back().size(1), latents.back().size(2), caption));
      all.push_back(canvases.back().get());
    }
    for (size_t i = 0; i < all.size(); ++i) {
      const std::string& example = examples[i];
      const double t = golden[example + ".t"].item<double>();
      const at::Tensor fp32 = golden[example + ".output"].squeeze(1);
      const double together = (model.dit.Velocities(latents, t, all)[i] - fp32).norm().item<double>();
      const double alone = (model.dit.Velocity(latents[i], t, *all[i]) - fp32).norm().item<double>();
      EXPECT_LE(together, 1.25 * alone) << toy << " " << example;
    }
  }
}

TEST(ContextRefiner, LoadsAndRunsAlone) {
  const Config config = Config::Parse(parity::ConfigText("toy_b", "transformer"), "toy_b");
  const ContextRefiner refiner(parity::Weights("toy_b", "transformer", at::kFloat), config);
  const Golden golden("toy_b/golden_dit.safetensors");
  const std::string last = "c0.context_refiner." + std::to_string(config.n_refiner_layers - 1);
  EXPECT_LE(parity::RelativeDifference(refiner.Refine(golden["c0.cap"]), golden[last]), 1e-4);
}

TEST(ContextRefiner, TakesTheRowLimitAndRefusesOneMore) {
  const Config config = Config::Parse(parity::ConfigText("toy_a", "transformer"), "toy_a");
  EXPECT_EQ(config.row_limit(), 224);
  const ContextRefiner refiner(parity::Weights("toy_a", "transformer", at::kFloat), config);
  EXPECT_EQ(refiner.Refine(at::ones({224, config.cap_feat_dim})).size(0), 224);
  EXPECT_THROW(refiner.Refine(at::ones({225, config.cap_feat_dim})), Error);
  EXPECT_THROW(refiner.Refine(at::ones({5, config.cap_feat_dim + 1})), Error);
}

TEST(Dit, RefusesALatentBeyondThePositionTables) {
  const Loaded model("toy_a", at::kFloat);  // axes_lens 256, 64, 64: at most 128 latent pixels a side
  const at::Tensor caption = model.refiner.Refine(at::ones({4, model.config.cap_feat_dim}));
  EXPECT_NO_THROW(model.dit.Prepare(128, 16, caption));
  EXPECT_THROW(model.dit.Prepare(130, 16, caption), Error);
  EXPECT_THROW(model.dit.Prepare(15, 16, caption), Error);
}

}  // namespace
}  // namespace diptych::dit
