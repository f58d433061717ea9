#include "encoder_node/qwen3/config.h"

#include <algorithm>
#include <sstream>
#include <string_view>

#include "common/foreign_text/foreign_text.h"
#include "common/model_config/json_facts.h"
#include "common/weights/shapes.h"

namespace diptych::qwen3 {
namespace {

// Of training, of generating text, of the classes around the model, or of how the weights are held: the hidden states
// do not depend on them.
constexpr std::string_view kHarmless[] = {"initializer_range",
                                          "attention_dropout",
                                          "use_cache",
                                          "tie_word_embeddings",
                                          "bos_token_id",
                                          "eos_token_id",
                                          "pad_token_id",
                                          "dtype",
                                          "torch_dtype",
                                          "sliding_window",
                                          "auto_map",
                                          "is_decoder",
                                          "is_encoder_decoder",
                                          "add_cross_attention",
                                          "tie_encoder_decoder",
                                          "chunk_size_feed_forward",
                                          "output_attentions",
                                          "output_hidden_states",
                                          "return_dict",
                                          "id2label",
                                          "label2id",
                                          "num_labels",
                                          "problem_type",
                                          "pretraining_tp",
                                          "tokenizer_class",
                                          "_attn_implementation",
                                          "_attn_implementation_autoset",
                                          "attn_implementation",
                                          "keys_to_ignore_at_inference"};

// transformers takes rope_scaling, when it says anything, in place of rope_parameters.
void ReadRope(const JsonFacts& json, Config& config) {
  config.rope_theta = json.Number("rope_theta", config.rope_theta);
  const auto read = [&](const JsonFacts& rope) {
    const std::string key = rope.Has("rope_type") ? "rope_type" : "type";
    if (const std::string type = rope.Text(key, "default"); type != "default") {
      rope.Refuse(key, "is " + QuotedForeignText(type) + "; only plain RoPE (\"default\") is supported");
    }
    for (const char* layers : {"full_attention", "sliding_attention"}) {
      if (rope.Has(layers)) rope.Refuse(layers, "is set; RoPE that differs by layer is not supported");
    }
    config.rope_theta = rope.Number("rope_theta", config.rope_theta);
    rope.Has("type");  // known, even beside rope_type
    if (std::string line = rope.UnknownKeysWarning({}); !line.empty()) config.warnings.push_back(std::move(line));
  };
  const bool has_scaling = json.Has("rope_scaling") && !json.Object("rope_scaling").IsEmpty();
  if (has_scaling) {
    read(json.Object("rope_scaling"));
    json.Has("rope_parameters");
  } else if (json.Has("rope_parameters")) {
    read(json.Object("rope_parameters"));
  }
  if (!(config.rope_theta > 1)) json.Refuse("rope_theta", "must be above 1");
}

void RefuseSlidingWindows(const JsonFacts& json, const Config& config) {
  const auto refuse = [&](const std::string& key) {
    json.Refuse(key, "asks for layers that see a sliding window; only full attention is supported");
  };
  // From this layer on, unless the file lists the layers itself.
  const bool uses_window = json.Bool("use_sliding_window", false) && !json.IsNull("sliding_window");
  const double first = json.Number("max_window_layers", 28);
  if (json.Has("layer_types")) {
    const std::vector<std::string> types = json.TextList("layer_types");
    if (types.size() != static_cast<size_t>(config.num_hidden_layers)) {
      json.Refuse("layer_types", "names " + std::to_string(types.size()) + " layers, the model has " +
                                     std::to_string(config.num_hidden_layers) + " (num_hidden_layers)");
    }
    if (std::any_of(types.begin(), types.end(), [](const std::string& type) { return type != "full_attention"; })) {
      refuse("layer_types");
    }
  } else if (uses_window && first < static_cast<double>(config.num_hidden_layers)) {
    refuse("use_sliding_window");
  }
}

// transformers finds the class by model_type; a file for that class alone may leave it out.
void RequireQwen3(const JsonFacts& json) {
  if (json.Has("model_type")) {
    json.Require("model_type", std::string("qwen3"));
    return;
  }
  if (!json.Has("architectures")) json.Refuse("model_type", "is missing; only \"qwen3\" is supported");
  for (const std::string& name : json.TextList("architectures")) {
    if (name != "Qwen3Model" && name != "Qwen3ForCausalLM") {
      json.Refuse("architectures",
                  "names " + QuotedForeignText(name) + "; only Qwen3Model and Qwen3ForCausalLM are supported");
    }
  }
}

}  // namespace

Config Config::Parse(const std::string& json_text, const std::string& name) {
  const JsonFacts json(json_text, name);
  RequireQwen3(json);
  Config config;
  config.hidden_size = json.Positive("hidden_size", config.hidden_size);
  config.num_hidden_layers = json.Positive("num_hidden_layers", config.num_hidden_layers);
  config.num_attention_heads = json.Positive("num_attention_heads", config.num_attention_heads);
  config.num_key_value_heads = json.IsNull("num_key_value_heads")
                                   ? config.num_attention_heads
                                   : json.Positive("num_key_value_heads", config.num_key_value_heads);
  config.intermediate_size = json.Positive("intermediate_size", config.intermediate_size);
  config.vocab_size = json.Positive("vocab_size", config.vocab_size);
  config.max_position_embeddings = json.Positive("max_position_embeddings", config.max_position_embeddings);
  config.rms_norm_eps = json.Number("rms_norm_eps", config.rms_norm_eps);
  if (!(config.rms_norm_eps >= 0)) json.Refuse("rms_norm_eps", "must not be negative");
  config.head_dim = json.Positive("head_dim", config.head_dim);
  if (config.head_dim % 2 != 0) json.Refuse("head_dim", "must be even for RoPE");
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    json.Refuse("num_key_value_heads", "must divide num_attention_heads");
  }
  if (const std::string act = json.Text("hidden_act", "silu"); act != "silu" && act != "swish") {  // two names of one
    json.Refuse("hidden_act", "is " + QuotedForeignText(act) + "; only \"silu\" is supported");
  }
  json.RequireIfPresent("attention_bias", false);
  if (json.Has("quantization_config")) {
    json.Refuse("quantization_config", "is set; quantised checkpoints of this kind are not supported");
  }
  RefuseSlidingWindows(json, config);
  ReadRope(json, config);
  if (std::string line = json.UnknownKeysWarning(kHarmless); !line.empty()) config.warnings.push_back(std::move(line));
  return config;
}

Config Config::FromShapes(const Checkpoint& checkpoint) {
  const Shapes shapes(checkpoint);
  const std::string model = shapes.Has("model.embed_tokens.weight") ? "model." : "", layer = model + "layers.0.";
  Config config;
  const std::vector<int64_t>& embedding = shapes.Of(model + "embed_tokens.weight", 2);
  config.vocab_size = embedding[0];
  config.hidden_size = embedding[1];
  config.num_hidden_layers = shapes.Count(model + "layers.");
  config.head_dim = shapes.Of(layer + "self_attn.q_norm.weight", 1)[0];
  if (config.head_dim % 2 != 0)
    shapes.Refuse("its heads are " + std::to_string(config.head_dim) + " wide, an odd number");
  const auto heads = [&](const char* projection) {
    const std::string name = layer + "self_attn." + projection + ".weight";
    return shapes.Quotient(shapes.Of(name, 2)[0], config.head_dim, name + " and the width of a head");
  };
  config.num_attention_heads = heads("q_proj");
  config.num_key_value_heads = heads("k_proj");
  shapes.Quotient(config.num_attention_heads, config.num_key_value_heads, "heads of queries and of keys");
  config.intermediate_size = shapes.Of(layer + "mlp.gate_proj.weight", 2)[0];
  config.max_position_embeddings = 40960;
  config.rms_norm_eps = 1e-6;
  config.rope_theta = 1e6;
  return config;
}

std::string UntoldDifference(const Config& one, const Config& other) {
  std::ostringstream text;
  text.precision(17);
  const auto compare = [&](const char* name, const auto& a, const auto& b) {
    if (a != b) text << (text.tellp() > 0 ? ", " : "") << name << " " << a << " and " << b;
  };
  compare("rope_theta", one.rope_theta, other.rope_theta);
  compare("rms_norm_eps", one.rms_norm_eps, other.rms_norm_eps);
  compare("max_position_embeddings", one.max_position_embeddings, other.max_position_embeddings);
  return text.str();
}

std::string Config::Identity() const {
  std::ostringstream text;
  text.precision(17);
  text << "qwen3, hidden_size " << hidden_size << ", num_hidden_layers " << num_hidden_layers
       << ", num_attention_heads " << num_attention_heads << ", num_key_value_heads " << num_key_value_heads
       << ", head_dim " << head_dim << ", intermediate_size " << intermediate_size << ", vocab_size " << vocab_size
       << ", max_position_embeddings " << max_position_embeddings << ", rms_norm_eps " << rms_norm_eps
       << ", rope_theta " << rope_theta;
  return text.str();
}

}  // namespace diptych::qwen3
