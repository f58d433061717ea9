#include "tools/random_checkpoint/sizes.h"

#include "common/error/error.h"
#include "tools/random_checkpoint/tokenizer_file.h"

namespace diptych::random_checkpoint {
namespace {

void Demand(bool holds, const std::string& rule) {
  if (!holds) throw Error(ErrorCode::kInvalidArgument, "impossible sizes: " + rule);
}

}  // namespace

const std::vector<PresetName>& Presets() {
  static const std::vector<PresetName> presets = {
      {"tiny", "a few megabytes; a picture in a second or two on any CPU"},
      {"small", "some sixty megabytes; large enough that matrix products dominate"},
      {"bench-encoder", "layers of Qwen3-4B's shapes, few of them; the rest tiny"},
      {"bench-dit", "blocks of Z-Image-Turbo's shapes, few of them; the rest tiny"},
      {"bench-vae", "the VAE of Z-Image-Turbo; the rest tiny"}};
  return presets;
}

Sizes PresetSizes(const std::string& name) {
  Sizes sizes;
  if (name == "tiny") return sizes;
  if (name == "small") {
    sizes.text = {
        .hidden = 384, .layers = 8, .heads = 8, .kv_heads = 4, .head_dim = 64, .intermediate = 1152, .vocabulary = 512};
    sizes.transformer = {.dim = 384, .heads = 6, .layers = 6, .refiner_layers = 2};
    sizes.vae = {.channels = {32, 64, 128, 128}, .layers_per_block = 2, .groups = 16};
    sizes.native_size = 512;
    return sizes;
  }
  if (name == "bench-encoder") {
    sizes.text = {.hidden = 2560,
                  .layers = 4,
                  .heads = 32,
                  .kv_heads = 8,
                  .head_dim = 128,
                  .intermediate = 9728,
                  .vocabulary = 4096};
    return sizes;
  }
  if (name == "bench-dit") {
    sizes.text = {
        .hidden = 2560, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 64, .intermediate = 512, .vocabulary = 512};
    sizes.transformer = {.dim = 3840, .heads = 30, .layers = 2, .refiner_layers = 1};
    sizes.native_size = 1024;
    return sizes;
  }
  if (name == "bench-vae") {
    sizes.vae = {.channels = {128, 256, 512, 512}, .layers_per_block = 2, .groups = 32};
    sizes.native_size = 1024;
    return sizes;
  }
  std::string known;
  for (const PresetName& preset : Presets()) known += " " + preset.name;
  throw Error(ErrorCode::kInvalidArgument, "no preset \"" + name + "\"; there are:" + known);
}

void CheckSizes(const Sizes& sizes) {
  const TextEncoderSizes& text = sizes.text;
  Demand(text.hidden > 0 && text.layers > 0 && text.heads > 0 && text.kv_heads > 0 && text.intermediate > 0,
         "the text encoder's sizes must be above 0");
  Demand(text.head_dim > 0 && text.head_dim % 2 == 0, "the text encoder's head_dim must be even");
  Demand(text.heads % text.kv_heads == 0, "the text encoder's heads must be a multiple of its kv_heads");
  Demand(text.vocabulary >= TokenCount(), "the vocabulary must be at least " + std::to_string(TokenCount()));
  const TransformerSizes& dit = sizes.transformer;
  Demand(dit.dim > 0 && dit.heads > 0 && dit.layers > 0 && dit.refiner_layers > 0,
         "the transformer's sizes must be above 0");
  Demand(dit.dim % dit.heads == 0 && dit.head_dim() % 16 == 0,
         "the transformer's dim / heads must be a multiple of 16");
  Demand(!sizes.vae.channels.empty() && sizes.vae.layers_per_block > 0 && sizes.vae.groups > 0,
         "the VAE's sizes must be above 0");
  for (const int64_t channels : sizes.vae.channels) {
    Demand(channels > 0 && channels % sizes.vae.groups == 0,
           "each of the VAE's channels must be a multiple of its groups");
  }
  Demand(sizes.native_size > 0 && sizes.shift > 0, "native size and shift must be above 0");
}

}  // namespace diptych::random_checkpoint
