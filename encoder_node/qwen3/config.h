// The facts of a Qwen3 text model, from its config.json or from its file of weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace diptych {
class Checkpoint;
class GgufFile;
}  // namespace diptych

namespace diptych::qwen3 {

struct Config {
  int64_t hidden_size = 4096;
  int64_t num_hidden_layers = 32;
  int64_t num_attention_heads = 32;
  int64_t num_key_value_heads = 32;
  int64_t head_dim = 128;  // not hidden_size / heads
  int64_t intermediate_size = 22016;
  int64_t vocab_size = 151936;
  int64_t max_position_embeddings = 32768;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;

  std::vector<std::string> warnings;  // one line each

  // All facts in words: equal for the same model, however its file spells them.
  std::string Identity() const;

  // Reads every spelling that transformers 5.23 reads, with the defaults of its Qwen3Config: rope_theta at the top, in
  // rope_parameters or in rope_scaling; rope_type or type; a null for num_key_value_heads. `name` is used in messages.
  // Throws Error(kInvalidArgument) naming the key for anything out of range or that this model does not do (scaled
  // RoPE, sliding windows, attention biases, another activation, quantised weights).
  static Config Parse(const std::string& json_text, const std::string& name);

  // What the shapes of the tensors tell; what they do not is as published for Qwen3-4B. Throws Error(kInvalidArgument)
  // for shapes that do not fit each other.
  static Config FromShapes(const Checkpoint& checkpoint);

  // What the metadata of a GGUF file state (qwen3.*), with the vocabulary from the shape of the embedding. `checkpoint`
  // is made of the file. Throws Error(kInvalidArgument) naming file and key for what is missing, out of range, not done
  // by this model (scaled RoPE), or does not agree with the shapes of the tensors.
  static Config FromGguf(const GgufFile& file, const Checkpoint& checkpoint);
};

// Of the facts that no shape tells those in which the two differ: "rope_theta 1000000 and 5000000"; empty: none.
std::string UntoldDifference(const Config& one, const Config& other);

}  // namespace diptych::qwen3
