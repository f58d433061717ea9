#include "render_node/sampler/denoise.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <functional>
#include <map>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/nn/pieces.h"
#include "gtest/gtest.h"
#include "render_node/sampler/flow_match.h"

namespace diptych::sampler {
namespace {

using OneVelocity = std::function<at::Tensor(const at::Tensor& latent, double t)>;

// A network that looks at each picture by itself.
VelocityFunction OfEach(const OneVelocity& one) {
  return [one](const std::vector<size_t>&, const std::vector<at::Tensor>& latents, double t) {
    std::vector<at::Tensor> outputs;
    for (const at::Tensor& latent : latents) outputs.push_back(one(latent, t));
    return outputs;
  };
}

// One picture alone; throws what ended it.
at::Tensor DenoiseOne(const at::Tensor& latent, const std::vector<float>& sigmas, int first, const OneVelocity& network,
                      const CancelToken& cancel = {}, const StepObserver& observe = {}) {
  std::vector<Member> members = {{.latent = latent, .step = first, .observe = observe, .cancel = cancel}};
  std::exception_ptr failure;
  Denoise(members, sigmas, OfEach(network), {}, {.left = [&](size_t, std::exception_ptr why) { failure = why; }});
  if (failure) std::rethrow_exception(failure);
  return members[0].latent;
}

// First and last values of torch.randn(1, 16, 128, 128) with a CPU generator (torch 2.11).
TEST(InitialNoise, IsTorchsStreamForTheSeed) {
  const at::Tensor noise = InitialNoise(42, 16, 128, 128).flatten();
  const float first[] = {1.9269153f, 1.4872841f, 0.9007172f, -2.1055210f};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(noise[i].item<float>(), first[i], 1e-6);
  EXPECT_NEAR(noise[-1].item<float>(), -2.3294172f, 1e-6);
}

// Drawn in pieces, of which the last may be short of the 16 values that libtorch draws at a time.
TEST(InitialNoise, OfALargePictureIsOneStreamTooAndSomebodyLooksWhileItIsDrawn) {
  int looks = 0;
  const Pause pause = [&looks] { ++looks; };
  const nn::PauseScope scope(pause);
  constexpr int64_t kPiece = 1 << 22;
  for (const auto& [width, pieces] :
       {std::pair(kPiece + 2, 1), {kPiece + 40, 2}, {2 * kPiece, 2}, {2 * kPiece + 16, 3}}) {
    looks = 0;
    at::Generator generator = at::detail::createCPUGenerator(9);
    EXPECT_TRUE(InitialNoise(9, 1, 1, width).view(-1).equal(at::randn({width}, generator))) << width;
    EXPECT_EQ(looks, pieces) << width;
  }
}

TEST(InitialNoise, LooksAtTheLow32BitsOfTheSeedLikeTorch) {
  EXPECT_TRUE(InitialNoise(42, 16, 4, 4).equal(InitialNoise((uint64_t{1} << 32) + 42, 16, 4, 4)));
  EXPECT_FALSE(InitialNoise(42, 16, 4, 4).equal(InitialNoise(43, 16, 4, 4)));
}

TEST(Denoise, FollowsAStraightFlowExactlyToItsEnd) {
  // For x = sigma noise + (1 - sigma) clean the network's true output is clean - noise, whatever the steps.
  const at::Tensor noise = InitialNoise(1, 4, 6, 6), clean = at::rand({4, 6, 6});
  const auto truth = [&](const at::Tensor&, double) { return clean - noise; };
  const at::Tensor found = DenoiseOne(noise, FlowMatchSigmas(5, 3.0), 0, truth);
  EXPECT_TRUE(found.allclose(clean, 1e-5, 1e-5));
}

TEST(Denoise, TellsTheNetworkOneMinusSigmaAndTheObserverEachStep) {
  std::vector<double> times, sigmas;
  const auto network = [&](const at::Tensor& x, double t) {
    times.push_back(t);
    return at::zeros_like(x);
  };
  const auto observe = [&](const FinishedStep& done) { sigmas.push_back(done.sigma); };
  DenoiseOne(at::ones({1, 2, 2}), FlowMatchSigmas(4, 3.0), 0, network, {}, observe);
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
  DenoiseOne(noise, FlowMatchSigmas(5, 3.0), 0, truth, {}, observe);
  EXPECT_EQ(steps, 5);
}

TEST(Denoise, GoesOnFromAnyStepWithoutChangingABit) {
  const auto network = [](const at::Tensor& x, double t) { return (x * 1.7).sin() + t; };
  const std::vector<float> sigmas = FlowMatchSigmas(5, 3.0);
  std::vector<at::Tensor> states = {InitialNoise(1, 4, 6, 6)};
  DenoiseOne(states[0], sigmas, 0, network, {},
             [&](const FinishedStep& done) { states.push_back(done.latent.clone()); });
  for (int first = 0; first <= 5; ++first) {
    int calls = 0;
    const at::Tensor found = DenoiseOne(states[first], sigmas, first, network, {},
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
  EXPECT_THROW(DenoiseOne(at::ones({1, 2, 2}), FlowMatchSigmas(9, 3.0), 0, network, cancel), Error);
  EXPECT_EQ(calls, 2);
}

// Several pictures, and what was told of them: "0+2 at 0" for an evaluation of the first and the third before step 1.
struct Together {
  explicit Together(int64_t count, std::vector<int> first = {}) {
    for (int64_t i = 0; i < count; ++i) {
      members.push_back({.latent = InitialNoise(static_cast<uint64_t>(i), 2, 4, 4)});
      if (!first.empty()) members.back().step = first[static_cast<size_t>(i)];
    }
  }

  // Of each picture by itself, so that the result does not depend on who shares a step.
  static at::Tensor Network(const at::Tensor& x, double t) { return (x * 1.7).sin() + t; }

  VelocityFunction Recording() {
    return [this](const std::vector<size_t>& group, const std::vector<at::Tensor>& latents, double t) {
      std::ostringstream line;
      for (const size_t i : group) line << (i == group[0] ? "" : "+") << i;
      line << " at " << members[group[0]].step;
      log.push_back(line.str());
      if (before) before(group);
      return OfEach(Network)(group, latents, t);
    };
  }
  DenoiseEvents Events() {
    return {.left = [this](size_t i, std::exception_ptr why) { left[i] = why; },
            .parted =
                [this](size_t together, std::exception_ptr why) {
                  EXPECT_TRUE(why);
                  log.push_back("parted to " + std::to_string(together));
                }};
  }
  void Run() { Denoise(members, sigmas, Recording(), {}, Events()); }

  // Whether this picture is, bit for bit, what it would be alone.
  bool IsAsAlone(size_t i) const {
    return members[i].step == 3 && members[i].latent.equal(DenoiseOne(InitialNoise(i, 2, 4, 4), sigmas, 0, Network));
  }

  const std::vector<float> sigmas = FlowMatchSigmas(3, 3.0);
  std::vector<Member> members;
  std::function<void(const std::vector<size_t>& group)> before;
  std::map<size_t, std::exception_ptr> left;
  std::vector<std::string> log;
};

using Lines = std::vector<std::string>;

TEST(DenoiseTogether, TakesEachStepOnceForAll) {
  Together all(3);
  std::vector<double> ms;
  for (Member& member : all.members) member.observe = [&](const FinishedStep& done) { ms.push_back(done.ms); };
  all.Run();
  EXPECT_EQ(all.log, (Lines{"0+1+2 at 0", "0+1+2 at 1", "0+1+2 at 2"}));
  EXPECT_TRUE(all.left.empty());
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(all.IsAsAlone(i)) << i;
  ASSERT_EQ(ms.size(), 9u);
  for (size_t k = 0; k < 9; ++k) EXPECT_EQ(ms[k], ms[k / 3 * 3]) << "the step took as long for each";
}

TEST(DenoiseTogether, ACancelledOneLeavesBeforeTheNextStep) {
  Together all(3);
  all.before = [&](const std::vector<size_t>& group) {
    if (group.size() == 3 && all.members[0].step == 1) all.members[1].cancel.Cancel();
  };
  all.Run();
  EXPECT_EQ(all.log, (Lines{"0+1+2 at 0", "0+1+2 at 1", "0+2 at 2"}));
  ASSERT_EQ(all.left.size(), 1u);
  EXPECT_THROW(std::rethrow_exception(all.left.at(1)), Error);
  EXPECT_TRUE(all.IsAsAlone(0) && all.IsAsAlone(2));
}

TEST(DenoiseTogether, WhatAnObserverThrowsEndsItsPictureAlone) {
  Together all(3);
  all.members[0].observe = [](const FinishedStep& done) {
    if (done.step == 2) throw 42;
  };
  all.Run();
  EXPECT_EQ(all.log, (Lines{"0+1+2 at 0", "0+1+2 at 1", "1+2 at 2"}));
  ASSERT_EQ(all.left.size(), 1u);
  EXPECT_THROW(std::rethrow_exception(all.left.at(0)), int);
  EXPECT_TRUE(all.IsAsAlone(1) && all.IsAsAlone(2));
}

TEST(DenoiseTogether, GoesOnInSmallerGroupsWhenAllAtOnceAreTooMuch) {
  Together all(4);
  all.before = [&](const std::vector<size_t>& group) {
    if (group.size() > 1 && all.members[0].step == 1) throw std::bad_alloc();
  };
  all.Run();
  EXPECT_EQ(all.log, (Lines{"0+1+2+3 at 0", "0+1+2+3 at 1", "parted to 2", "0+1 at 1", "parted to 1", "0 at 1",
                            "1 at 1", "2 at 1", "3 at 1", "0 at 2", "1 at 2", "2 at 2", "3 at 2"}));
  EXPECT_TRUE(all.left.empty());
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(all.IsAsAlone(i)) << i;
}

TEST(DenoiseTogether, OneThatFailsTheNetworkFailsAlone) {
  Together all(3);
  all.before = [&](const std::vector<size_t>& group) {
    if (std::count(group.begin(), group.end(), 2u) > 0) throw std::runtime_error("of the third");
  };
  all.Run();
  EXPECT_EQ(all.log,
            (Lines{"0+1+2 at 0", "parted to 1", "0 at 0", "1 at 0", "2 at 0", "0 at 1", "1 at 1", "0 at 2", "1 at 2"}));
  ASSERT_EQ(all.left.size(), 1u);
  EXPECT_THROW(std::rethrow_exception(all.left.at(2)), std::runtime_error);
  EXPECT_TRUE(all.IsAsAlone(0) && all.IsAsAlone(1));
}

// The network itself leaves once nobody wants the step any more: nothing failed.
TEST(DenoiseTogether, EndsInAStepWhenAllAreCancelled) {
  Together all(3);
  all.before = [&](const std::vector<size_t>&) {
    for (const Member& member : all.members) member.cancel.Cancel();
    all.members[0].cancel.ThrowIfCancelled();
  };
  all.Run();
  EXPECT_EQ(all.log, (Lines{"0+1+2 at 0"}));
  EXPECT_EQ(all.left.size(), 3u);
}

TEST(DenoiseTogether, ThoseWhoAreBehindGoFirst) {
  Together all(3, {0, 3, 1});
  all.Run();
  EXPECT_EQ(all.log, (Lines{"0 at 0", "0+2 at 1", "0+2 at 2"})) << "the second is at its end";
  EXPECT_TRUE(all.IsAsAlone(0));
}

TEST(DenoiseTogether, ThoseWhoEnterLaterJoinAtTheirLevelAndCountTheirOwnSteps) {
  Together all(3);
  all.members[1].first = 3;
  all.members[2].first = 1;
  std::vector<int> counted;
  all.members[2].observe = [&](const FinishedStep& done) { counted.push_back(done.step); };
  all.Run();
  EXPECT_EQ(all.log, (Lines{"0 at 0", "0+2 at 1", "0+2 at 2"})) << "the second has no step to take";
  EXPECT_EQ(counted, (std::vector<int>{1, 2}));
  EXPECT_TRUE(all.IsAsAlone(0));
  EXPECT_TRUE(all.members[1].latent.equal(InitialNoise(1, 2, 4, 4)));
}

TEST(Kept, IsMixedInAtTheNewLevelAndEndsAsItWas) {
  const at::Tensor noise = InitialNoise(1, 2, 4, 4), clean = InitialNoise(2, 2, 4, 4);
  const at::Tensor repaint = at::tensor({0.f, 1.f, 0.25f, 1.f}).expand({1, 4, 4}).contiguous();
  const std::vector<float> sigmas = FlowMatchSigmas(4, 3.0);
  std::vector<Member> members = {
      {.latent = Noised(clean, noise, sigmas[1]), .first = 1, .kept = Kept{clean, noise, repaint}}};
  at::Tensor expected = members[0].latent;
  int steps = 0;
  members[0].observe = [&](const FinishedStep& done) {
    const size_t level = static_cast<size_t>(++steps);
    expected = expected - (sigmas[level + 1] - sigmas[level]) * Together::Network(expected, ModelTime(sigmas[level]));
    const at::Tensor there = steps == 3 ? clean : sigmas[level + 1] * noise + (1 - sigmas[level + 1]) * clean;
    expected = (1 - repaint) * there + repaint * expected;
    EXPECT_TRUE(done.latent.allclose(expected, 1e-6, 1e-6)) << steps;
    const at::Tensor guess = done.latent + done.output * done.sigma;
    EXPECT_TRUE(guess.select(2, 0).allclose(clean.select(2, 0), 1e-5, 1e-5)) << "what is kept is known";
  };
  Denoise(members, sigmas, OfEach(Together::Network), {}, {.left = [](size_t, std::exception_ptr) { FAIL(); }});
  EXPECT_EQ(steps, 3);
  EXPECT_TRUE(members[0].latent.select(2, 0).equal(clean.select(2, 0)));
  EXPECT_FALSE(members[0].latent.select(2, 1).allclose(clean.select(2, 1), 0, 0.1));
}

TEST(Noised, RoundsTheLevelToTheDtypeOfTheLatent) {
  const at::Tensor noise = InitialNoise(1, 2, 4, 4).to(at::kBFloat16),
                   clean = InitialNoise(2, 2, 4, 4).to(at::kBFloat16);
  const at::Tensor found = Noised(clean, noise, 0.833333f);
  EXPECT_EQ(found.scalar_type(), at::kBFloat16);
  const at::Tensor level = at::tensor(0.833333f).to(at::kBFloat16);
  EXPECT_TRUE(found.equal(level * noise + (1 - level) * clean));
}

// Two draws of one generator, which is how a source takes its noise; bfloat16 is a stream of its own (torch 2.11).
TEST(DrawNoise, GoesOnInTheStream) {
  at::Generator generator = at::detail::createCPUGenerator(42);
  const at::Tensor one = DrawNoise(generator, 16, 4, 6, at::kFloat), two = DrawNoise(generator, 16, 4, 6, at::kFloat);
  EXPECT_TRUE(one.equal(InitialNoise(42, 16, 4, 6)));
  EXPECT_TRUE(at::cat({one, two}).equal(InitialNoise(42, 32, 4, 6)));
  at::Generator narrow = at::detail::createCPUGenerator(42);
  const at::Tensor bf16 = DrawNoise(narrow, 16, 4, 6, at::kBFloat16).to(at::kFloat).flatten();
  const float first[] = {-0.80859f, -1.53125f, 0.40625f, 0.17188f};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(bf16[i].item<float>(), first[i], 1e-5) << i;
}

TEST(DenoiseTogether, GuidesEachByItsOwnScaleAndTime) {
  Together all(3);
  all.members[0].guidance = {.scale = 2, .truncation = 0.3};
  all.members[2].guidance = {.scale = 5, .normalization = 1};
  std::vector<Lines> negatives;
  const VelocityFunction negative = [&](const std::vector<size_t>& group, const std::vector<at::Tensor>& latents,
                                        double t) {
    Lines& line = negatives.emplace_back();
    for (const size_t i : group) line.push_back(std::to_string(i));
    return OfEach([](const at::Tensor& x, double) { return x * 0.5; })(group, latents, t);
  };
  const std::vector<Member> begin = all.members;
  Denoise(all.members, all.sigmas, all.Recording(), negative, all.Events());
  // t is 0, 0.143 and 0.4.
  EXPECT_EQ(negatives, (std::vector<Lines>{{"0", "2"}, {"0", "2"}, {"2"}}));
  for (size_t i = 0; i < 3; ++i) {
    std::vector<Member> alone = {begin[i]};
    Denoise(alone, all.sigmas, OfEach(Together::Network), negative, all.Events());
    EXPECT_TRUE(all.members[i].latent.equal(alone[0].latent)) << i;
  }
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
