// Hidden states against transformers, layer by layer.
#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "common/nn/pieces.h"
#include "encoder_node/qwen3/model.h"
#include "gtest/gtest.h"
#include "tests/parity/support/golden.h"

namespace diptych::qwen3 {
namespace {

using parity::Golden;

Model Load(const std::string& toy, at::ScalarType dtype) {
  return Model(parity::Weights(toy, "text_encoder", dtype),
               Config::Parse(parity::ConfigText(toy, "text_encoder"), toy));
}

std::vector<int64_t> Ids(const Golden& golden, const std::string& prompt) {
  const at::Tensor ids = golden[prompt + ".ids"];
  return std::vector<int64_t>(ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + ids.numel());
}

TEST(Qwen3Parity, EveryHiddenStateEqualsTransformersInFp32) {
  for (const std::string toy : parity::kToys) {
    const Model model = Load(toy, at::kFloat);
    const Golden golden(toy + "/golden_text.safetensors");
    for (const std::string prompt : {"p0", "p1", "p2"}) {
      parity::TapComparison taps(golden, prompt + ".");
      const at::Tensor last = model.HiddenState(Ids(golden, prompt), -1, {}, taps.tap());
      EXPECT_EQ(taps.compared(), static_cast<size_t>(model.config().num_hidden_layers + 1)) << toy << " " << prompt;
      EXPECT_LE(taps.worst(), 2e-5) << toy << " " << taps.worst_name();
      const std::string name = prompt + ".hidden." + std::to_string(model.config().num_hidden_layers);
      EXPECT_GE(parity::LeastCosine(last, golden[name]), 0.999999) << toy << " " << prompt;
    }
  }
}

TEST(Qwen3Parity, EachLayerIndexIsTheStateOfThatName) {
  for (const std::string toy : parity::kToys) {
    const Model model = Load(toy, at::kFloat);
    const Golden golden(toy + "/golden_text.safetensors");
    const int64_t states = model.config().num_hidden_layers + 1;
    for (int64_t layer = -states; layer <= -1; ++layer) {
      const at::Tensor golden_state = golden["p1.hidden." + std::to_string(states + layer)];
      EXPECT_LE(parity::RelativeDifference(model.HiddenState(Ids(golden, "p1"), layer), golden_state), 2e-5)
          << toy << " layer " << layer;
    }
  }
}

TEST(Qwen3Parity, RunsNoLayerBeyondTheOneAsked) {
  const Model model = Load("toy_b", at::kFloat);
  std::vector<std::string> seen;
  model.HiddenState({1, 2, 3}, -3, {}, [&](std::string_view name, const at::Tensor&) { seen.emplace_back(name); });
  EXPECT_EQ(seen, (std::vector<std::string>{"hidden.0", "hidden.1", "hidden.2"}));
}

TEST(Qwen3Parity, Bf16IsAsCloseToFp32AsTransformersOwnBf16) {
  for (const std::string toy : parity::kToys) {
    const Model model = Load(toy, at::kBFloat16);
    const Golden golden(toy + "/golden_text.safetensors");
    const std::string state = std::to_string(model.config().num_hidden_layers - 1);
    double ours = 0, theirs = 0;
    for (const std::string prompt : {"p0", "p1", "p2"}) {
      const at::Tensor fp32 = golden[prompt + ".hidden." + state];
      const at::Tensor found = model.HiddenState(Ids(golden, prompt), -2).to(at::kFloat);
      EXPECT_GE(parity::LeastCosine(found, fp32), 0.9995) << toy << " " << prompt;
      ours += (found - fp32).square().sum().item<double>();
      theirs += (golden[prompt + ".bf16.hidden.-2"] - fp32).square().sum().item<double>();
    }
    // Squared error over all prompts: a little room for another kernel's luck, not for another rounding order.
    EXPECT_LE(ours, 1.1 * theirs) << toy;
  }
}

TEST(Qwen3Parity, AChangedTokenLeavesEarlierRowsAlone) {
  const Model model = Load("toy_a", at::kFloat);
  const at::Tensor one = model.HiddenState({5, 6, 7, 8}, -2), two = model.HiddenState({5, 6, 7, 9}, -2);
  EXPECT_LE((one - two).slice(0, 0, 3).abs().max().item<double>(), 1e-6);
  EXPECT_GT((one - two).slice(0, 3).abs().max().item<double>(), 1e-3);
}

TEST(Qwen3Parity, RefusesALayerThatIsNotThere) {
  const Model model = Load("toy_a", at::kFloat);
  for (const int64_t layer : {0, 1, -5, -100}) EXPECT_THROW(model.HiddenState({1}, layer), Error) << layer;
}

TEST(Qwen3Parity, RefusesATokenThatIsNotThere) {
  const Model model = Load("toy_a", at::kFloat);
  EXPECT_THROW(model.HiddenState({1 << 20}, -2), Error);
  EXPECT_THROW(model.HiddenState({}, -2), Error);
}

TEST(Qwen3Parity, InPiecesItIsTheSameModelAndSomebodyLooksInsideEachLayer) {
  for (const std::string toy : parity::kToys) {
    const Model model = Load(toy, at::kFloat);
    std::vector<int64_t> ids(200);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i * 7 % 50);
    int looks = 0;
    const Pause pause = [&looks] { ++looks; };
    const at::Tensor whole = model.HiddenState(ids, -2, pause);
    EXPECT_TRUE(model.HiddenState(ids, -2).equal(whole)) << "whether somebody looks changes nothing";
    const int looks_at_the_whole = std::exchange(looks, 0);
    EXPECT_GE(looks_at_the_whole, 8 * (model.config().num_hidden_layers - 1));
    const nn::PauseScope small({}, 1);
    EXPECT_LE(parity::RelativeDifference(model.HiddenState(ids, -2, pause), whole), 2e-5) << toy;
    EXPECT_GT(looks, 5 * looks_at_the_whole) << toy;
  }
}

TEST(Qwen3Parity, StopsBetweenLayersWhenCancelled) {
  const Model model = Load("toy_b", at::kFloat);
  const CancelToken cancel;
  size_t states = 0;
  const Tap cancel_after_first = [&](std::string_view, const at::Tensor&) {
    if (++states == 2) cancel.Cancel();
  };
  EXPECT_THROW(model.HiddenState({1, 2}, -1, LeaveIfCancelled(cancel), cancel_after_first), Error);
  EXPECT_EQ(states, 2u);
}

}  // namespace
}  // namespace diptych::qwen3
