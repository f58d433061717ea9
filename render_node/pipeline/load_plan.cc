#include "render_node/pipeline/load_plan.h"

#include <algorithm>

#include "common/memory/format_choice.h"

namespace diptych {
namespace {

constexpr int32_t kUsualSide = 1024;  // px

// But for what WeightView does not ask for.
WeightNeed VaeNeed(const Checkpoint& vae, bool encodes) {
  return encodes ? NeedOf(vae, Dtype::F32, {"quant_conv."}) : NeedOf(vae, Dtype::F32, {"encoder.", "quant_conv."});
}

std::string WayOut(const LoadQuestion& question, bool only_bfloat16) {
  const std::string insist = "--ignore-memory loads all the same";
  if (question.dit_on_gpu)
    return "give the GPU to this program alone, or paint on the CPU with --dit-device cpu; " + insist;
  return (only_bfloat16 ? "" : "--torch-dtype bfloat16 needs less; ") + std::string("end other programs, or ") + insist;
}

}  // namespace

LoadPlan PlanLoad(const LoadQuestion& q) {
  const bool together = q.dit_on_gpu == q.vae_on_gpu;
  std::vector<const char*> formats = {"float32", "bfloat16"};
  if (q.torch_dtype != "auto") {
    formats = {q.torch_dtype == "bfloat16" ? "bfloat16" : "float32"};
  } else if (q.dit_on_gpu) {
    formats = {"bfloat16"};
  }
  const WeightNeed vae = VaeNeed(q.vae, q.vae_encodes);
  const int32_t side = std::min(kUsualSide, q.max_side);

  FormatQuestion question{.what = together ? "transformer and VAE" : "the transformer",
                          .by_format = {},
                          .beside = q.dit_on_gpu ? 0 : q.encoder.copied + q.encoder.mapped,
                          .way_out = WayOut(q, std::string(formats.back()) == "bfloat16")};
  std::vector<WeightNeed> dit_needs;
  for (const char* format : formats) {
    const bool bfloat16 = std::string(format) == "bfloat16";
    PictureMemoryFacts picture = q.picture;
    picture.element = bfloat16 ? 2 : 4;
    WeightNeed need = NeedOf(q.transformer, bfloat16 ? Dtype::BF16 : Dtype::F32);
    dit_needs.push_back(need);
    if (together) {
      need.copied += vae.copied;
      need.mapped += vae.mapped;
      need.on_gpu += vae.on_gpu;
    }
    uint64_t work = StepBytes(picture, side, side);
    if (together) work = std::max(work, DecodeBytes(picture, side, side, q.tiling));
    if (q.dit_on_gpu) need = {.copied = need.on_gpu, .mapped = 0};
    question.by_format.push_back({.format = format, .copied = need.copied, .mapped = need.mapped, .work = work});
  }
  LoadPlan plan;
  const auto take = [&plan](FormatChoice choice) {
    plan.notes.push_back(std::move(choice.line));
    if (!choice.warning.empty()) plan.warnings.push_back(std::move(choice.warning));
    return choice.index;
  };
  const size_t chosen = take(ChooseFormat(question, q.dit_on_gpu ? q.gpu : q.host));
  plan.bfloat16 = question.by_format[chosen].format == "bfloat16";
  if (!q.dit_on_gpu) plan.weights = dit_needs[chosen];
  if (!together) {
    const FormatNeed need{.format = "float32",
                          .copied = q.vae_on_gpu ? vae.on_gpu : vae.copied,
                          .mapped = q.vae_on_gpu ? 0 : vae.mapped,
                          .work = DecodeBytes(q.picture, side, side, q.tiling)};
    take(ChooseFormat({.what = "the VAE", .by_format = {need}, .beside = 0, .way_out = WayOut(q, true)},
                      q.vae_on_gpu ? q.gpu : q.host));
  }
  if (!q.vae_on_gpu) {
    plan.weights.copied += vae.copied;
    plan.weights.mapped += vae.mapped;
  }
  return plan;
}

}  // namespace diptych
