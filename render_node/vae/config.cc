#include "render_node/vae/config.h"

#include "common/model_config/json_facts.h"

namespace diptych::vae {

Config Config::Parse(const std::string& json_text, const std::string& name) {
  const JsonFacts json(json_text, name);
  Config config;
  config.block_out_channels = json.PositiveList("block_out_channels");
  config.layers_per_block = json.Positive("layers_per_block", 1);
  config.latent_channels = json.Positive("latent_channels");
  config.norm_num_groups = json.Positive("norm_num_groups", 32);
  config.scaling_factor = json.Number("scaling_factor");
  config.shift_factor = json.Number("shift_factor", 0);
  if (config.block_out_channels.size() > 8) json.Refuse("block_out_channels", "has more than 8 levels");
  for (const int64_t channels : config.block_out_channels) {
    if (channels % config.norm_num_groups != 0)
      json.Refuse("norm_num_groups", "must divide every number of block_out_channels");
  }
  if (config.scaling_factor == 0) json.Refuse("scaling_factor", "must not be 0");
  json.RequireIfPresent("act_fn", std::string("silu"));
  json.RequireIfPresent("mid_block_add_attention", true);
  json.RequireIfPresent("use_post_quant_conv", false);
  if (json.Positive("out_channels", 3) != 3) json.Refuse("out_channels", "must be 3");
  return config;
}

}  // namespace diptych::vae
