#include "render_node/dit/config.h"

#include <numeric>
#include <sstream>
#include <string_view>
#include <utility>

#include "common/model_config/json_facts.h"
#include "common/weights/shapes.h"

namespace diptych::dit {
namespace {

// How the weights are held in memory elsewhere.
constexpr std::string_view kHarmless[] = {"dtype", "torch_dtype", "gradient_checkpointing"};

}  // namespace

Config Config::Parse(const std::string& json_text, const std::string& name) {
  const JsonFacts json(json_text, name);
  Config config;
  config.in_channels = json.Positive("in_channels", 16);
  config.dim = json.Positive("dim", 3840);
  config.n_layers = json.Positive("n_layers", 30);
  config.n_refiner_layers = json.Positive("n_refiner_layers", 2);
  config.n_heads = json.Positive("n_heads", 30);
  config.cap_feat_dim = json.Positive("cap_feat_dim", 2560);
  config.axes_dims = json.PositiveList("axes_dims", {32, 48, 48});
  config.axes_lens = json.PositiveList("axes_lens", {1024, 512, 512});
  if (!json.Has("axes_lens")) {
    config.warnings.push_back(name +
                              ": \"axes_lens\" is missing; captions are cut at 992 rows as in diffusers, while " +
                              "Z-Image-Turbo's own file makes it 1504");
  }
  config.norm_eps = json.Number("norm_eps", 1e-5);
  if (!(config.norm_eps >= 0)) json.Refuse("norm_eps", "must not be negative");
  config.rope_theta = json.Number("rope_theta", 256);
  config.t_scale = json.Number("t_scale", 1000);

  if (config.dim % config.n_heads != 0) json.Refuse("dim", "must be a multiple of n_heads");
  if (json.Positive("n_kv_heads", config.n_heads) != config.n_heads) {
    config.warnings.push_back(name +
                              ": \"n_kv_heads\" is without effect, as in diffusers: every head has keys of its own");
  }
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
  if (json.PositiveList("all_patch_size", {kPatch}) != std::vector<int64_t>{kPatch})
    json.Refuse("all_patch_size", "must be [2]");
  if (json.PositiveList("all_f_patch_size", {1}) != std::vector<int64_t>{1})
    json.Refuse("all_f_patch_size", "must be [1]");
  json.RequireIfPresent("qk_norm", true);
  if (json.Has("siglip_feat_dim")) json.Refuse("siglip_feat_dim", "is set; omni checkpoints are not supported");
  if (json.Has("quantization_config")) {
    json.Refuse("quantization_config", "is set; quantised checkpoints of this kind are not supported");
  }
  if (std::string line = json.OtherClassWarning("ZImageTransformer2DModel"); !line.empty()) {
    config.warnings.push_back(std::move(line));
  }
  if (std::string line = json.UnknownKeysWarning(kHarmless); !line.empty()) config.warnings.push_back(std::move(line));
  return config;
}

Config Config::FromShapes(const Checkpoint& checkpoint) {
  const Shapes shapes(checkpoint);
  constexpr int64_t kHeadDim = 128;
  if (shapes.Has("siglip_embedder.0.weight")) shapes.Refuse("it is an omni model, which is not supported");
  Config config;
  const std::vector<int64_t>& caption = shapes.Of("cap_embedder.1.weight", 2);
  config.dim = caption[0];
  config.cap_feat_dim = caption[1];
  config.in_channels = shapes.Quotient(shapes.Of("all_x_embedder.2-1.weight", 2)[1], kPatch * kPatch,
                                       "all_x_embedder and patches of 2 x 2");
  config.n_layers = shapes.Count("layers.");
  config.n_refiner_layers = shapes.Count("noise_refiner.");
  const int64_t head_dim = shapes.Of("layers.0.attention.norm_q.weight", 1)[0];
  if (head_dim != kHeadDim) {
    shapes.Refuse("its heads are " + std::to_string(head_dim) + " wide and Z-Image's " + std::to_string(kHeadDim) +
                  ", so that axes_dims is unknown");
  }
  config.n_heads = shapes.Quotient(config.dim, head_dim, "dim and the width of a head");
  config.axes_dims = {32, 48, 48};
  config.axes_lens = {1536, 512, 512};
  return config;
}

std::string Config::Identity() const {
  std::ostringstream text;
  text.precision(17);
  text << "z-image transformer, in_channels " << in_channels << ", dim " << dim << ", n_layers " << n_layers
       << ", n_refiner_layers " << n_refiner_layers << ", n_heads " << n_heads << ", cap_feat_dim " << cap_feat_dim;
  text << ", axes_dims";
  for (const int64_t d : axes_dims) text << " " << d;
  text << ", axes_lens";
  for (const int64_t length : axes_lens) text << " " << length;
  text << ", norm_eps " << norm_eps << ", rope_theta " << rope_theta << ", t_scale " << t_scale;
  return text.str();
}

}  // namespace diptych::dit
