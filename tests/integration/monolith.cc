// Both models in one process, and nothing between them: what two daemons must equal byte for byte.
//   diptych-monolith --model-path DIR --output FILE.png [--torch-dtype D] [--threads N] [--prompt P] [--system-prompt
//   S] [--thinking-content T]
//                    [--negative-prompt N] [--guidance-scale G] [--width W] [--height H] [--steps N] [--seed S]
//                    [--img2img FILE] [--mask FILE] [--strength S] [--inpaint-crop PX]
// --torch-dtype is the encoder's; the renderer computes in float32.
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/digest/sha256.h"
#include "common/prompt/encode_input.h"
#include "encoder_node/engine/text_encoder.h"
#include "render_node/jobs/job_parameters.h"
#include "render_node/jobs/source_picture.h"
#include "render_node/pipeline/z_image_renderer.h"
#include "render_node/service/receipt_finisher.h"

namespace diptych {
namespace {

using Flags = std::map<std::string, std::string>;

std::string Get(const Flags& flags, const std::string& name, const std::string& fallback) {
  const auto found = flags.find("--" + name);
  return found == flags.end() ? fallback : found->second;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<PreparedSource> SourceOf(const Flags& flags, const PictureSpec& spec) {
  if (spec.source.empty()) return std::nullopt;
  std::optional<GreyPicture> mask;
  if (!spec.mask.empty()) mask = GreyOf(DecodePicture(ReadFile(flags.at("--mask"))).picture);
  return PrepareSource(DecodePicture(ReadFile(flags.at("--img2img"))), mask ? &*mask : nullptr, SourcePlanOf(spec));
}

JobSpec SpecOf(const Flags& flags, double default_shift) {
  JobSpec spec;
  spec.prompt.emplace().user = Get(flags, "prompt", "");
  spec.prompt->thinking = Get(flags, "thinking-content", "");
  if (flags.contains("--system-prompt")) spec.prompt->system = flags.at("--system-prompt");
  spec.width = std::stoi(Get(flags, "width", "64"));
  spec.height = std::stoi(Get(flags, "height", "64"));
  spec.steps = std::stoi(Get(flags, "steps", "4"));
  spec.seed = std::stoull(Get(flags, "seed", "0"));
  spec.shift = default_shift;
  spec.guidance_scale = std::stod(Get(flags, "guidance-scale", "0"));
  spec.cfg_truncation = 1;
  if (flags.contains("--img2img")) spec.source.hex = Sha256Hex(ReadFile(flags.at("--img2img")));
  if (flags.contains("--mask")) spec.mask.hex = Sha256Hex(ReadFile(flags.at("--mask")));
  if (flags.contains("--strength")) spec.strength = std::stod(flags.at("--strength"));
  if (flags.contains("--inpaint-crop")) spec.inpaint_crop = std::stoi(flags.at("--inpaint-crop"));
  Settle(spec);
  if (spec.guidance_scale > 0) spec.negative.emplace().user = Get(flags, "negative-prompt", "");
  return spec;
}

Conditioning Encode(PromptEncoder& encoder, const PromptParts& prompt, int64_t row_limit) {
  return encoder.Encode(EncodeInputOf(prompt), {.row_limit = row_limit}, {});
}

void Run(const Flags& flags) {
  const std::string model = flags.at("--model-path");
  const std::string dtype = Get(flags, "torch-dtype", "auto");
  const int threads = std::stoi(Get(flags, "threads", "0"));
  const auto encoder = LoadTextEncoder({.text_encoder_path = model + "/text_encoder",
                                        .tokenizer_path = model + "/tokenizer",
                                        .torch_dtype = dtype,
                                        .threads = threads});
  const auto renderer = LoadZImageRenderer({.transformer_path = model + "/transformer",
                                            .vae_path = model + "/vae",
                                            .scheduler_path = model + "/scheduler",
                                            .torch_dtype = "float32",
                                            .threads = threads});
  const RendererFacts& facts = renderer->facts();
  const JobSpec spec = SpecOf(flags, facts.default_shift);
  const RenderParameters parameters = RenderParametersOf(spec, facts);
  const Conditioning positive = Encode(*encoder, *spec.prompt, facts.row_limit);
  std::optional<Conditioning> negative;
  if (spec.negative) negative = Encode(*encoder, *spec.negative, facts.row_limit);
  const Conditioning* against = negative ? &*negative : nullptr;
  const std::optional<PreparedSource> source = SourceOf(flags, spec);
  Picture picture = renderer->Render({.positive = positive,
                                      .negative = against,
                                      .parameters = parameters,
                                      .source = source ? &source->picture : nullptr,
                                      .mask = source && source->mask ? &*source->mask : nullptr});
  if (source) picture = PasteBack(*source, std::move(picture));
  const std::vector<uint8_t> png = FinishWithReceipt({.picture = picture,
                                                      .spec = spec,
                                                      .parameters = parameters,
                                                      .renderer = facts,
                                                      .positive = positive,
                                                      .negative = against});
  std::ofstream file(flags.at("--output"), std::ios::binary);
  file.write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + flags.at("--output"));
}

}  // namespace
}  // namespace diptych

int main(int argc, char** argv) {
  diptych::Flags flags;
  for (int i = 1; i + 1 < argc; i += 2) flags[argv[i]] = argv[i + 1];
  try {
    diptych::Run(flags);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "diptych-monolith: %s\n", error.what());
    return 1;
  }
}
