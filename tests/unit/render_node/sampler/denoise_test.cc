#include "render_node/sampler/denoise.h"

#include <ATen/ATen.h>

#include "gtest/gtest.h"
#include "render_node/sampler/flow_match.h"

namespace diptych::sampler {
namespace {

// First and last values of torch.randn(1, 16, 128, 128) with a CPU generator (z_image.md 8.5).
TEST(InitialNoise, IsTorchsStreamForTheSeed) {
  const at::Tensor noise = InitialNoise(42, 16, 128, 128).flatten();
  const float first[] = {1.9269153f, 1.4872841f, 0.9007172f, -2.1055210f};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(noise[i].item<float>(), first[i], 1e-6);
  EXPECT_NEAR(noise[-1].item<float>(), -2.3294172f, 1e-6);
}

TEST(InitialNoise, LooksAtTheLow32BitsOfTheSeedLikeTorch) {
  EXPECT_TRUE(InitialNoise(42, 16, 4, 4).equal(InitialNoise((uint64_t{1} << 32) + 42, 16, 4, 4)));
  EXPECT_FALSE(InitialNoise(42, 16, 4, 4).equal(InitialNoise(43, 16, 4, 4)));
}

TEST(Denoise, FollowsAStraightFlowExactlyToItsEnd) {
  // For x = sigma noise + (1 - sigma) clean the network's true output is clean - noise, whatever the steps.
  const at::Tensor noise = InitialNoise(1, 4, 6, 6), clean = at::rand({4, 6, 6});
  const auto truth = [&](const at::Tensor&, double) { return clean - noise; };
  const at::Tensor found = Denoise(noise, FlowMatchSigmas(5, 3.0), 0, truth, {}, {}, CancelToken(), {});
  EXPECT_TRUE(found.allclose(clean, 1e-5, 1e-5));
}

TEST(Denoise, TellsTheNetworkOneMinusSigmaAndTheObserverEachStep) {
  std::vector<double> times, sigmas;
  const auto network = [&](const at::Tensor& x, double t) {
    times.push_back(t);
    return at::zeros_like(x);
  };
  const auto observe = [&](const FinishedStep& done) { sigmas.push_back(done.sigma); };
  Denoise(at::ones({1, 2, 2}), FlowMatchSigmas(4, 3.0), 0, network, {}, {}, CancelToken(), observe);
  ASSERT_EQ(times.size(), 4u);
  EXPECT_NEAR(times[0], 0, 1e-6);
  EXPECT_NEAR(times[3], 0.5, 1e-6);
  ASSERT_EQ(sigmas.size(), 4u);
  EXPECT_EQ(sigmas[3], 0);
}

TEST(Denoise, TellsTheObserverWhatTheCleanLatentWillBe) {
  const at::Tensor noise = InitialNoise(1, 4, 6, 6), clean = at::rand({4, 6, 6});
  int steps = 0;
  const auto truth = [&](const at::Tensor&, double) { return clean - noise; };
  const auto observe = [&](const FinishedStep& done) {
    EXPECT_EQ(done.step, ++steps);
    EXPECT_TRUE((done.latent + done.output * done.sigma).allclose(clean, 1e-5, 1e-5)) << done.step;
  };
  Denoise(noise, FlowMatchSigmas(5, 3.0), 0, truth, {}, {}, CancelToken(), observe);
  EXPECT_EQ(steps, 5);
}

TEST(Denoise, GoesOnFromAnyStepWithoutChangingABit) {
  const auto network = [](const at::Tensor& x, double t) { return (x * 1.7).sin() + t; };
  const std::vector<float> sigmas = FlowMatchSigmas(5, 3.0);
  std::vector<at::Tensor> states = {InitialNoise(1, 4, 6, 6)};
  Denoise(states[0], sigmas, 0, network, {}, {}, CancelToken(),
          [&](const FinishedStep& done) { states.push_back(done.latent.clone()); });
  for (int first = 0; first <= 5; ++first) {
    int calls = 0;
    const at::Tensor found = Denoise(states[first], sigmas, first, network, {}, {}, CancelToken(),
                                     [&](const FinishedStep& done) { EXPECT_EQ(done.step, first + ++calls); });
    EXPECT_TRUE(found.equal(states[5])) << first;
    EXPECT_EQ(calls, 5 - first);
  }
}

TEST(Denoise, StopsBeforeTheStepAfterCancellation) {
  const CancelToken cancel;
  int calls = 0;
  const auto network = [&](const at::Tensor& x, double) {
    if (++calls == 2) cancel.Cancel();
    return at::zeros_like(x);
  };
  EXPECT_THROW(Denoise(at::ones({1, 2, 2}), FlowMatchSigmas(9, 3.0), 0, network, {}, {}, cancel, {}), Error);
  EXPECT_EQ(calls, 2);
}

TEST(Guidance, AddsTheDifferenceTimesItsScale) {
  const at::Tensor pos = at::full({2, 2}, 3.0), neg = at::full({2, 2}, 1.0);
  EXPECT_TRUE(Guide(pos, neg, {.scale = 2}).allclose(at::full({2, 2}, 7.0)));
}

TEST(Guidance, NormalizationBoundsTheNorm) {
  const at::Tensor pos = at::full({2, 2}, 3.0), neg = at::full({2, 2}, 1.0);  // norms 6 and, guided, 14
  EXPECT_TRUE(Guide(pos, neg, {.scale = 2, .normalization = 1}).allclose(at::full({2, 2}, 3.0)));
  EXPECT_TRUE(Guide(pos, neg, {.scale = 2, .normalization = 5}).allclose(at::full({2, 2}, 7.0)));
}

TEST(Guidance, TruncationEndsItAboveThatTimeAndKeepsEquality) {
  const Guidance guidance{.scale = 2, .truncation = 0.5};
  EXPECT_TRUE(guidance.ActiveAt(0.5));
  EXPECT_FALSE(guidance.ActiveAt(0.51));
  EXPECT_TRUE((Guidance{.scale = 2, .truncation = 1}).ActiveAt(1));
  EXPECT_TRUE((Guidance{.scale = 2, .truncation = 0}).ActiveAt(0.9));
  EXPECT_FALSE((Guidance{.scale = 0}).ActiveAt(0.1));
}

}  // namespace
}  // namespace diptych::sampler
