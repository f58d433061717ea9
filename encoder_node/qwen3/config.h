// The facts of a Qwen3 text model, from its config.json.
#pragma once

#include <cstdint>
#include <string>

namespace diptych::qwen3 {

struct Config {
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;  // explicit in the file; not hidden_size / heads
  int64_t intermediate_size = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 1e6;

  // Reads the old style (top-level rope_theta) and the new one (rope_parameters). `name` is used in messages.
  // Throws Error(kInvalidArgument) naming the key for anything missing, out of range or that this model does not do
  // (scaled RoPE, sliding windows, attention biases, another activation).
  static Config Parse(const std::string& json_text, const std::string& name);
};

}  // namespace diptych::qwen3
