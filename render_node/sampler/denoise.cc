#include "render_node/sampler/denoise.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/nn/pieces.h"
#include "render_node/sampler/flow_match.h"

namespace diptych::sampler {
namespace {

// At most `most` of those who are there and not at the end, all at the same level, which nobody else is behind.
std::vector<size_t> NextGroup(const std::vector<Member>& members, const std::vector<bool>& gone, size_t steps,
                              size_t most) {
  std::vector<size_t> group;
  for (size_t i = 0; i < members.size(); ++i) {
    if (gone[i] || static_cast<size_t>(members[i].level()) >= steps) continue;
    if (!group.empty() && members[i].level() < members[group[0]].level()) group.clear();
    if (group.empty() || (members[i].level() == members[group[0]].level() && group.size() < most)) group.push_back(i);
  }
  return group;
}

bool AllCancelled(const std::vector<Member>& members, const std::vector<size_t>& group) {
  return std::all_of(group.begin(), group.end(), [&](size_t i) { return members[i].cancel.IsCancelled(); });
}

// What a step makes of one picture.
struct Evaluated {
  at::Tensor latent, output;
};

// After a step to `sigma`, the last one or not. The output becomes what leads there: that of the kept part is straight
// from the noise to the clean latent, so that latent + sigma * output is the guess of all of it.
void Keep(const Kept& kept, float sigma, bool last, Evaluated& made) {
  const at::Tensor there = last ? kept.clean : Noised(kept.clean, kept.noise, sigma);
  const at::Tensor keep = 1 - kept.repaint;
  made.latent = keep * there + kept.repaint * made.latent;
  made.output = keep * (kept.clean - kept.noise) + kept.repaint * made.output;
}

// From the level of the group, which is not the last, to the next.
std::vector<Evaluated> Evaluate(const std::vector<Member>& members, const std::vector<size_t>& group,
                                const std::vector<float>& sigmas, const VelocityFunction& positive,
                                const VelocityFunction& negative) {
  const size_t level = static_cast<size_t>(members[group[0]].level());
  const float sigma = sigmas[level], next_sigma = sigmas[level + 1];
  const double t = ModelTime(sigma);
  std::vector<at::Tensor> latents, guided_latents;
  std::vector<size_t> guided, guided_at;  // members, and where in the group they are
  for (size_t k = 0; k < group.size(); ++k) {
    const Member& member = members[group[k]];
    latents.push_back(member.latent);
    if (!member.guidance.ActiveAt(t)) continue;
    guided.push_back(group[k]);
    guided_at.push_back(k);
    guided_latents.push_back(member.latent);
  }
  std::vector<at::Tensor> outputs = positive(group, latents, t);
  if (!guided.empty()) {
    const std::vector<at::Tensor> away = negative(guided, guided_latents, t);
    for (size_t k = 0; k < guided.size(); ++k) {
      at::Tensor& output = outputs[guided_at[k]];
      output = Guide(output, away[k], members[guided[k]].guidance);
    }
  }
  const float dt = next_sigma - sigma;
  std::vector<Evaluated> evaluated;
  for (size_t k = 0; k < group.size(); ++k) {
    // The network points from noise to data: d latent / d sigma = -output.
    evaluated.push_back({latents[k] - outputs[k] * dt, outputs[k]});
    if (const std::optional<Kept>& kept = members[group[k]].kept) {
      Keep(*kept, next_sigma, level + 2 == sigmas.size(), evaluated.back());
    }
  }
  return evaluated;
}

}  // namespace

at::Tensor InitialNoise(uint64_t seed, int64_t channels, int64_t h, int64_t w) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return DrawNoise(generator, channels, h, w, at::kFloat);
}

at::Tensor DrawNoise(at::Generator& generator, int64_t channels, int64_t h, int64_t w, at::ScalarType dtype) {
  at::Tensor noise = at::empty({channels, h, w}, at::TensorOptions().dtype(dtype));
  // libtorch draws 16 values at a time where there are as many, so equal parts of a multiple of 16 are one stream.
  constexpr int64_t kValuesOfAPiece = 1 << 22;
  const at::Tensor values = noise.view(-1);
  for (int64_t begin = 0; begin < values.numel(); begin += kValuesOfAPiece) {
    const int64_t left = values.numel() - begin;
    // What is left over may be less than 16 values, which would be drawn another way.
    const int64_t count = left < kValuesOfAPiece + 16 ? left : kValuesOfAPiece;
    values.narrow(0, begin, count).normal_(0, 1, generator);
    nn::Worked(0, noise);
    if (count == left) break;
  }
  return noise;
}

at::Tensor Noised(const at::Tensor& clean, const at::Tensor& noise, float sigma) {
  const at::Tensor level = at::full({1}, sigma, clean.options());
  return level * noise + (1 - level) * clean;
}

void Denoise(std::vector<Member>& members, const std::vector<float>& sigmas, const VelocityFunction& positive,
             const VelocityFunction& negative, const DenoiseEvents& events) {
  const at::InferenceMode no_gradients;
  std::vector<bool> gone(members.size());
  // For those alone whom it concerns: true when `work` is done, else the member leaves.
  const auto of_one = [&](size_t member, const auto& work) {
    try {
      work();
      return true;
    } catch (...) {
      gone[member] = true;
      events.left(member, std::current_exception());
      return false;
    }
  };
  size_t together = members.size();
  for (;;) {
    const std::vector<size_t> group = NextGroup(members, gone, sigmas.size() - 1, together);
    if (group.empty()) return;
    bool all_go_on = true;
    for (const size_t i : group) {
      all_go_on = of_one(i, [&] { members[i].cancel.ThrowIfCancelled(); }) && all_go_on;
    }
    if (!all_go_on) continue;

    const size_t level = static_cast<size_t>(members[group[0]].level());
    std::vector<Evaluated> evaluated;
    double ms = 0;
    try {
      const auto begin = std::chrono::steady_clock::now();
      evaluated = Evaluate(members, group, sigmas, positive, negative);
      if (const at::Tensor& last = evaluated.back().latent; last.is_cuda()) last.sum().item();  // until it is computed
      ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    } catch (...) {
      // Several may be too much for the memory, or one of them may be to blame: in smaller groups the others get on.
      if (group.size() == 1) {
        of_one(group[0], [] { throw; });
      } else if (!AllCancelled(members, group)) {
        together = group.size() / 2;
        if (events.parted) events.parted(together, std::current_exception());
      }
      continue;
    }
    for (size_t k = 0; k < group.size(); ++k) {
      Member& member = members[group[k]];
      member.latent = std::move(evaluated[k].latent);
      ++member.step;
      of_one(group[k], [&] {
        if (!member.observe) return;
        member.observe({.step = member.step,
                        .sigma = sigmas[level + 1],
                        .latent = member.latent,
                        .output = evaluated[k].output,
                        .ms = ms,
                        .together = group.size()});
      });
    }
  }
}

}  // namespace diptych::sampler
