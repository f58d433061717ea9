#include "render_node/vae/config.h"

#include <sstream>
#include <string_view>
#include <utility>

#include "common/error/error.h"
#include "common/foreign_text/foreign_text.h"
#include "common/model_config/json_facts.h"
#include "common/weights/shapes.h"

namespace diptych::vae {
namespace {

// Of the encoder (WhyNoEncoder), of how large diffusers takes a tile, and of how it holds the weights; and the
// statistics of latents, which Z-Image's pipeline does not use.
constexpr std::string_view kHarmless[] = {"in_channels",  "down_block_types", "use_quant_conv", "sample_size",
                                          "force_upcast", "latents_mean",     "latents_std",    "dtype",
                                          "torch_dtype"};

// One block for each number of block_out_channels, all of the one kind that there is on this side.
void RequireBlocks(const JsonFacts& json, const std::string& key, const std::string& kind, size_t levels) {
  const std::vector<std::string> blocks = json.Has(key) ? json.TextList(key) : std::vector<std::string>{kind};
  if (blocks.size() != levels) {
    json.Refuse(key, "names " + std::to_string(blocks.size()) + " blocks" +
                         (json.Has(key) ? "" : " when it is missing") + ", block_out_channels has " +
                         std::to_string(levels) + " numbers");
  }
  for (const std::string& block : blocks) {
    if (block == kind) continue;
    json.Refuse(key, "names " + QuotedForeignText(block) + "; only \"" + kind + "\" is supported");
  }
}

// A convolution of the latent that Z-Image's VAE has on neither side.
void RequireNoConvolution(const JsonFacts& json, const std::string& key) {
  if (!json.Bool(key, true)) return;
  json.Refuse(key,
              std::string(json.Has(key) ? "is true" : "is missing, which means true") + "; only false is supported");
}

// Painting needs none of it, so a model of another encoder is no wrong model.
std::string WhyNoEncoder(const JsonFacts& json, size_t levels) {
  try {
    RequireNoConvolution(json, "use_quant_conv");
    RequireBlocks(json, "down_block_types", "DownEncoderBlock2D", levels);
    if (json.Positive("in_channels", 3) != 3) json.Refuse("in_channels", "must be 3");
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

Config Config::Parse(const std::string& json_text, const std::string& name) {
  const JsonFacts json(json_text, name);
  Config config;
  config.block_out_channels = json.PositiveList("block_out_channels", {64});
  config.layers_per_block = json.Positive("layers_per_block", 1);
  config.latent_channels = json.Positive("latent_channels", 4);
  config.norm_num_groups = json.Positive("norm_num_groups", 32);
  config.scaling_factor = json.Number("scaling_factor", 0.18215);
  config.shift_factor = json.Number("shift_factor", 0);
  if (config.block_out_channels.size() > 8) json.Refuse("block_out_channels", "has more than 8 levels");
  for (const int64_t channels : config.block_out_channels) {
    if (channels % config.norm_num_groups != 0)
      json.Refuse("norm_num_groups", "must divide every number of block_out_channels");
  }
  if (config.scaling_factor == 0) json.Refuse("scaling_factor", "must not be 0");
  if (const std::string act = json.Text("act_fn", "silu"); act != "silu" && act != "swish") {  // two names of one
    json.Refuse("act_fn", "is " + QuotedForeignText(act) + "; only \"silu\" is supported");
  }
  json.RequireIfPresent("mid_block_add_attention", true);
  RequireNoConvolution(json, "use_post_quant_conv");
  RequireBlocks(json, "up_block_types", "UpDecoderBlock2D", config.block_out_channels.size());
  if (json.Positive("out_channels", 3) != 3) json.Refuse("out_channels", "must be 3");
  config.no_encoder = WhyNoEncoder(json, config.block_out_channels.size());
  if (std::string line = json.OtherClassWarning("AutoencoderKL"); !line.empty()) {
    config.warnings.push_back(std::move(line));
  }
  if (std::string line = json.UnknownKeysWarning(kHarmless); !line.empty()) config.warnings.push_back(std::move(line));
  return config;
}

Config Config::FromShapes(const Checkpoint& checkpoint) {
  const Shapes shapes(checkpoint);
  constexpr int64_t kLatentChannels = 16, kGroups = 32;
  if (shapes.Has("post_quant_conv.weight")) shapes.Refuse("it has post_quant_conv, which Z-Image's has not");
  Config config;
  const int64_t levels = shapes.Count("decoder.up_blocks.");
  if (levels > 8) shapes.Refuse("the decoder has more than 8 levels");
  for (int64_t i = levels - 1; i >= 0; --i) {  // the decoder begins at the latent's side
    const std::string block = "decoder.up_blocks." + std::to_string(i) + ".resnets.";
    config.block_out_channels.push_back(shapes.Of(block + "0.conv1.weight", 4)[0]);
    if (config.block_out_channels.back() % kGroups != 0) {
      shapes.Refuse(block + "0 has " + std::to_string(config.block_out_channels.back()) +
                    " channels, no multiple of 32, so that norm_num_groups is unknown");
    }
  }
  config.layers_per_block = shapes.Count("decoder.up_blocks.0.resnets.") - 1;
  if (config.layers_per_block < 1) shapes.Refuse("decoder.up_blocks.0 has one block alone");
  config.latent_channels = shapes.Of("decoder.conv_in.weight", 4)[1];
  if (config.latent_channels != kLatentChannels) {
    shapes.Refuse("its latents have " + std::to_string(config.latent_channels) +
                  " channels and Z-Image's 16, so that scaling_factor and shift_factor are unknown");
  }
  config.norm_num_groups = kGroups;
  config.scaling_factor = 0.3611;
  config.shift_factor = 0.1159;
  if (shapes.Has("quant_conv.weight"))
    config.no_encoder = checkpoint.path() + ": has quant_conv, which is not supported";
  return config;
}

std::string Config::Identity() const {
  std::ostringstream text;
  text.precision(17);
  text << "autoencoder_kl decoder, block_out_channels";
  for (const int64_t channels : block_out_channels) text << " " << channels;
  text << ", layers_per_block " << layers_per_block << ", latent_channels " << latent_channels << ", norm_num_groups "
       << norm_num_groups << ", scaling_factor " << scaling_factor << ", shift_factor " << shift_factor;
  return text.str();
}

}  // namespace diptych::vae
