#include "encoder_node/qwen3/config.h"

#include "common/model_config/json_facts.h"

namespace diptych::qwen3 {

Config Config::Parse(const std::string& json_text, const std::string& name) {
  const JsonFacts json(json_text, name);
  Config config;
  config.hidden_size = json.Positive("hidden_size");
  config.num_hidden_layers = json.Positive("num_hidden_layers");
  config.num_attention_heads = json.Positive("num_attention_heads");
  config.num_key_value_heads = json.Positive("num_key_value_heads", config.num_attention_heads);
  config.intermediate_size = json.Positive("intermediate_size");
  config.vocab_size = json.Positive("vocab_size");
  config.max_position_embeddings = json.Positive("max_position_embeddings", 40960);
  config.rms_norm_eps = json.Number("rms_norm_eps", 1e-6);
  if (!(config.rms_norm_eps >= 0)) json.Refuse("rms_norm_eps", "must not be negative");
  if (!json.Has("head_dim") && config.hidden_size % config.num_attention_heads != 0) {
    json.Refuse("head_dim", "is missing, and hidden_size is no multiple of num_attention_heads");
  }
  config.head_dim = json.Positive("head_dim", config.hidden_size / config.num_attention_heads);
  if (config.head_dim % 2 != 0) json.Refuse("head_dim", "must be even for RoPE");
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    json.Refuse("num_key_value_heads", "must divide num_attention_heads");
  }

  json.Require("model_type", std::string("qwen3"));
  json.RequireIfPresent("hidden_act", std::string("silu"));
  json.RequireIfPresent("attention_bias", false);
  json.RequireIfPresent("use_sliding_window", false);
  if (json.Has("rope_scaling")) json.Refuse("rope_scaling", "is set; only plain RoPE is supported");
  if (json.Has("rope_parameters")) {
    const JsonFacts rope = json.Object("rope_parameters");
    rope.RequireIfPresent("rope_type", std::string("default"));
    config.rope_theta = rope.Number("rope_theta");
  } else {
    config.rope_theta = json.Number("rope_theta", 1e6);
  }
  if (!(config.rope_theta > 1)) json.Refuse("rope_theta", "must be above 1");
  return config;
}

}  // namespace diptych::qwen3
