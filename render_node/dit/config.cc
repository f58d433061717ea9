#include "render_node/dit/config.h"

#include <numeric>

#include "common/model_config/json_facts.h"

namespace diptych::dit {

Config Config::Parse(const std::string& json_text, const std::string& name) {
  const JsonFacts json(json_text, name);
  Config config;
  config.in_channels = json.Positive("in_channels", 16);
  config.dim = json.Positive("dim");
  config.n_layers = json.Positive("n_layers");
  config.n_refiner_layers = json.Positive("n_refiner_layers");
  config.n_heads = json.Positive("n_heads");
  config.cap_feat_dim = json.Positive("cap_feat_dim");
  config.axes_dims = json.PositiveList("axes_dims");
  config.axes_lens =
      json.PositiveList("axes_lens");  // no default: diffusers' own (1024) is not the checkpoint's (1536)
  config.norm_eps = json.Number("norm_eps", 1e-5);
  if (!(config.norm_eps >= 0)) json.Refuse("norm_eps", "must not be negative");
  config.rope_theta = json.Number("rope_theta", 256);
  config.t_scale = json.Number("t_scale", 1000);

  if (config.dim % config.n_heads != 0) json.Refuse("dim", "must be a multiple of n_heads");
  if (json.Positive("n_kv_heads", config.n_heads) != config.n_heads) json.Refuse("n_kv_heads", "must equal n_heads");
  if (config.axes_dims.size() != 3) json.Refuse("axes_dims", "must hold three numbers");
  if (config.axes_lens.size() != 3) json.Refuse("axes_lens", "must hold three numbers");
  for (const int64_t d : config.axes_dims) {
    if (d % 2 != 0) json.Refuse("axes_dims", "must hold even numbers");
  }
  if (std::accumulate(config.axes_dims.begin(), config.axes_dims.end(), int64_t{0}) != config.head_dim()) {
    json.Refuse("axes_dims", "must add up to dim / n_heads = " + std::to_string(config.head_dim()));
  }
  if (config.row_limit() < kSequenceMultiple)
    json.Refuse("axes_lens", "leaves no room for a caption (needs at least 34)");
  if (json.PositiveList("all_patch_size") != std::vector<int64_t>{kPatch}) json.Refuse("all_patch_size", "must be [2]");
  if (json.PositiveList("all_f_patch_size") != std::vector<int64_t>{1}) json.Refuse("all_f_patch_size", "must be [1]");
  json.RequireIfPresent("qk_norm", true);
  if (json.Has("siglip_feat_dim")) json.Refuse("siglip_feat_dim", "is set; omni checkpoints are not supported");
  return config;
}

}  // namespace diptych::dit
