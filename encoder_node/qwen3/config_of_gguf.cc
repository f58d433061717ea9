// Source: conversion/qwen.py and gguf-py/gguf/constants.py of llama.cpp.
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include "common/error/error.h"
#include "common/foreign_text/foreign_text.h"
#include "common/weights/gguf.h"
#include "common/weights/shapes.h"
#include "encoder_node/qwen3/config.h"

namespace diptych::qwen3 {
namespace {

// The decimal that a float was made from: 1e-6, and not the 9.99999997e-07 that it is exactly. Of a number that is no
// float itself.
double AsWritten(double value) {
  const auto narrow = static_cast<float>(value);
  if (static_cast<double>(narrow) != value) return value;
  char text[32];
  const auto [end, failed] = std::to_chars(text, text + sizeof text, narrow);
  double written = value;
  if (failed == std::errc()) std::from_chars(text, end, written);
  return written;
}

// What stands under "qwen3." in the metadata.
class Metadata {
 public:
  explicit Metadata(const GgufFile& file) : file_(file) {}

  [[noreturn]] void Refuse(const std::string& key, const std::string& why) const {
    throw Error(ErrorCode::kInvalidArgument, file_.path() + ": metadata " + Key(key) + " " + why);
  }
  bool Has(const std::string& key) const { return file_.metadata().contains(Key(key)); }

  int64_t Positive(const std::string& key, std::optional<int64_t> fallback = std::nullopt) const {
    const std::optional<int64_t> value = file_.Integer(Key(key));
    if (!value && !fallback) Miss(key);
    const int64_t number = value.value_or(fallback.value_or(0));
    if (number < 1 || number > INT32_MAX)
      Refuse(key, "is " + std::to_string(number) + ", expected 1 to " + std::to_string(INT32_MAX));
    return number;
  }
  double Number(const std::string& key) const {
    const std::optional<double> value = file_.Number(Key(key));
    if (!value) Miss(key);
    if (!std::isfinite(*value)) Refuse(key, "is no finite number");
    return AsWritten(*value);
  }
  std::optional<double> NumberIfThere(const std::string& key) const { return file_.Number(Key(key)); }
  std::optional<std::string_view> TextIfThere(const std::string& key) const { return file_.Text(Key(key)); }

 private:
  static std::string Key(const std::string& key) { return "qwen3." + key; }
  [[noreturn]] void Miss(const std::string& key) const {
    Refuse(key, "is missing; the config.json of this text model beside the file would state it");
  }
  const GgufFile& file_;
};

void RefuseScaledRope(const Metadata& metadata) {
  const auto refuse = [&](const char* key, const std::string& found) {
    metadata.Refuse(key, "is " + found + "; only plain RoPE is supported");
  };
  if (const auto type = metadata.TextIfThere("rope.scaling.type"); type && *type != "none")
    refuse("rope.scaling.type", QuotedForeignText(*type));
  for (const char* key : {"rope.scaling.factor", "rope.scale_linear"}) {
    const std::optional<double> factor = metadata.NumberIfThere(key);
    if (factor && *factor != 0 && *factor != 1) refuse(key, std::to_string(*factor));  // linear, without a type
  }
}

// A size that the metadata state and the shape of a tensor shows.
struct Shown {
  const char* key;
  const char* tensor;
  size_t dimensions, dimension;
  int64_t expected;
};

void CheckShapes(const Metadata& metadata, const Shapes& shapes, const std::string& model, const Config& config) {
  const Shown all[] = {
      {"embedding_length", "embed_tokens.weight", 2, 1, config.hidden_size},
      {"attention.key_length", "layers.0.self_attn.q_norm.weight", 1, 0, config.head_dim},
      {"attention.head_count", "layers.0.self_attn.q_proj.weight", 2, 0, config.num_attention_heads * config.head_dim},
      {"attention.head_count_kv", "layers.0.self_attn.k_proj.weight", 2, 0,
       config.num_key_value_heads * config.head_dim},
      {"feed_forward_length", "layers.0.mlp.gate_proj.weight", 2, 0, config.intermediate_size}};
  for (const Shown& one : all) {
    const std::string name = model + one.tensor;
    const std::vector<int64_t>& shape = shapes.Of(name, one.dimensions);
    if (shape[one.dimension] == one.expected) continue;
    metadata.Refuse(one.key, "and the shapes do not agree: " + name + " should have " + std::to_string(one.expected) +
                                 (one.dimension == 1    ? " columns"
                                  : one.dimensions == 1 ? " values"
                                                        : " rows") +
                                 ", its shape is " + ShapeText(shape));
  }
  if (const int64_t layers = shapes.Count(model + "layers."); layers != config.num_hidden_layers) {
    metadata.Refuse("block_count", "is " + std::to_string(config.num_hidden_layers) + ", and the file has " +
                                       std::to_string(layers) + " of these layers");
  }
}

}  // namespace

Config Config::FromGguf(const GgufFile& file, const Checkpoint& checkpoint) {
  const Metadata metadata(file);
  const Shapes shapes(checkpoint);
  const std::string model = shapes.Has("model.embed_tokens.weight") ? "model." : "";
  Config config;
  config.vocab_size = shapes.Of(model + "embed_tokens.weight", 2)[0];
  config.hidden_size = metadata.Positive("embedding_length");
  config.num_hidden_layers = metadata.Positive("block_count");
  config.num_attention_heads = metadata.Positive("attention.head_count");
  config.num_key_value_heads = metadata.Positive("attention.head_count_kv", config.num_attention_heads);
  config.head_dim =
      metadata.Positive("attention.key_length", shapes.Of(model + "layers.0.self_attn.q_norm.weight", 1)[0]);
  config.intermediate_size = metadata.Positive("feed_forward_length");
  config.max_position_embeddings = metadata.Positive("context_length");
  config.rms_norm_eps = metadata.Number("attention.layer_norm_rms_epsilon");
  config.rope_theta = metadata.Number("rope.freq_base");
  if (config.head_dim % 2 != 0) metadata.Refuse("attention.key_length", "must be even for RoPE");
  if (metadata.Positive("attention.value_length", config.head_dim) != config.head_dim)
    metadata.Refuse("attention.value_length", "must be as attention.key_length");
  if (config.num_attention_heads % config.num_key_value_heads != 0)
    metadata.Refuse("attention.head_count_kv", "must divide attention.head_count");
  if (!(config.rms_norm_eps >= 0)) metadata.Refuse("attention.layer_norm_rms_epsilon", "must not be negative");
  if (!(config.rope_theta > 1)) metadata.Refuse("rope.freq_base", "must be above 1");
  RefuseScaledRope(metadata);
  CheckShapes(metadata, shapes, model, config);
  return config;
}

}  // namespace diptych::qwen3
