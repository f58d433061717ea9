// Shapes: T tokens, D hidden_size, H query heads, K key/value heads, d head_dim.
#include "encoder_node/qwen3/model.h"

#include <ATen/ATen.h>

#include <string>

#include "common/error/error.h"
#include "common/nn/layers.h"
#include "common/nn/pieces.h"
#include "common/weights/weight_view.h"

namespace diptych::qwen3 {
namespace {

using nn::Linear;
using nn::RmsNorm;

// cos and sin of pos * theta^(-2i/d), the two halves alike.  Source: Qwen3RotaryEmbedding.
struct Rotation {
  // For positions 0 .. T-1. Angles in fp32; cos and sin rounded to the dtype of the activations.
  Rotation(int64_t tokens, const Config& config, const at::TensorOptions& activations) {
    const at::TensorOptions wide = at::TensorOptions().dtype(at::kFloat);  // on the CPU, as the reference builds them
    const at::Tensor exponent = at::arange(0, config.head_dim, 2, wide) / static_cast<double>(config.head_dim);
    const at::Tensor inv_freq = at::reciprocal(at::pow(at::Scalar(config.rope_theta), exponent));  // [d/2]
    const at::Tensor angle = at::arange(0, tokens, wide).unsqueeze(1) * inv_freq.unsqueeze(0);     // [T, d/2]
    const at::Tensor both = at::cat({angle, angle}, 1).unsqueeze(1);                               // [T, 1, d]
    cos = both.cos().to(activations);
    sin = both.sin().to(activations);
  }

  // Rotate-half: pairs (i, i + d/2). x holds the tokens from `first` on.  x [T, heads, d] -> same
  at::Tensor operator()(const at::Tensor& x, int64_t first) const {
    const int64_t half = x.size(-1) / 2;
    const at::Tensor turned = at::cat({x.slice(-1, half).neg(), x.slice(-1, 0, half)}, -1);
    return (x * cos.narrow(0, first, x.size(0))).add_(turned.mul_(sin.narrow(0, first, x.size(0))));
  }

  at::Tensor cos, sin;  // [T, 1, d]
};

struct Attention {
  Attention(const WeightView& w, const Config& c)
      : q_proj(w / "q_proj", c.num_attention_heads * c.head_dim, c.hidden_size, false),
        k_proj(w / "k_proj", c.num_key_value_heads * c.head_dim, c.hidden_size, false),
        v_proj(w / "v_proj", c.num_key_value_heads * c.head_dim, c.hidden_size, false),
        o_proj(w / "o_proj", c.hidden_size, c.num_attention_heads * c.head_dim, false),
        q_norm(w / "q_norm", c.head_dim, c.rms_norm_eps),
        k_norm(w / "k_norm", c.head_dim, c.rms_norm_eps),
        heads(c.num_attention_heads),
        kv_heads(c.num_key_value_heads),
        head_dim(c.head_dim) {}

  at::Tensor operator()(const at::Tensor& x, const Rotation& rotate) const {  // x [T, D]
    const int64_t tokens = x.size(0);
    const auto in_pieces = [](const Linear& project, const at::Tensor& y, const auto& after) {
      return nn::ByRows(y, project.flops_per_row(),
                        [&](const at::Tensor& rows, int64_t first) { return after(project(rows), first); });
    };
    const auto turned = [&](const RmsNorm& norm, int64_t own_heads) {
      return [&norm, &rotate, own_heads, this](const at::Tensor& y, int64_t first) {
        return rotate(norm(y.view({y.size(0), own_heads, head_dim})), first);
      };
    };
    const auto as_it_is = [](const at::Tensor& y, int64_t) { return y; };
    const at::Tensor q = in_pieces(q_proj, x, turned(q_norm, heads));                        // [T, H, d]
    const at::Tensor k = in_pieces(k_proj, x, turned(k_norm, kv_heads));                     // [T, K, d]
    const at::Tensor v = in_pieces(v_proj, x, as_it_is).view({tokens, kv_heads, head_dim});  // [T, K, d]
    const at::Tensor mixed =
        nn::Attention(q.transpose(0, 1), ForEachQueryHead(k), ForEachQueryHead(v), /*causal=*/true);  // [H, T, d]
    return in_pieces(o_proj, mixed.transpose(0, 1).reshape({tokens, heads * head_dim}), as_it_is);    // [T, D]
  }

  // Key/value head g serves query heads g*H/K ..  x [T, K, d] -> [H, T, d]
  at::Tensor ForEachQueryHead(const at::Tensor& x) const {
    return x.transpose(0, 1).repeat_interleave(heads / kv_heads, 0);
  }

  const Linear q_proj, k_proj, v_proj, o_proj;
  const RmsNorm q_norm, k_norm;
  const int64_t heads, kv_heads, head_dim;
};

struct Layer {
  Layer(const WeightView& w, const Config& c)
      : input_layernorm(w / "input_layernorm", c.hidden_size, c.rms_norm_eps),
        self_attn(w / "self_attn", c),
        post_attention_layernorm(w / "post_attention_layernorm", c.hidden_size, c.rms_norm_eps),
        mlp(Linear(w / "mlp" / "gate_proj", c.intermediate_size, c.hidden_size, false),
            Linear(w / "mlp" / "up_proj", c.intermediate_size, c.hidden_size, false),
            Linear(w / "mlp" / "down_proj", c.hidden_size, c.intermediate_size, false)) {}

  at::Tensor operator()(const at::Tensor& x, const Rotation& rotate) const {  // x [T, D] -> [T, D]
    const at::Tensor h = x + self_attn(input_layernorm(x), rotate);
    return nn::ByRows(h, mlp.flops_per_row(),
                      [&](const at::Tensor& rows, int64_t) { return rows + mlp(post_attention_layernorm(rows)); });
  }

  const RmsNorm input_layernorm;
  const Attention self_attn;
  const RmsNorm post_attention_layernorm;
  const nn::SwiGlu mlp;
};

}  // namespace

struct Model::Network {
  Network(const WeightView& w, const Config& c)
      : embed_tokens(w / "embed_tokens" / "weight", c.vocab_size, c.hidden_size),
        norm(w / "norm", c.hidden_size, c.rms_norm_eps) {
    // Nothing is reserved: the number is the file's to say, and a wrong one shall end with the name of what is missing.
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers.emplace_back(w / "layers" / i, c);
  }

  const nn::Matrix embed_tokens;  // [vocab, D]
  const RmsNorm norm;
  std::vector<Layer> layers;
};

// A causal LM saves its names under "model."; the bare text model saves them without.
Model::Model(const WeightView& w, const Config& config)
    : config_(config),
      network_(std::make_unique<const Network>(w.Prefixed({"model", ""}, "embed_tokens.weight"), config)) {}
Model::~Model() = default;

int64_t Model::StateIndex(int64_t layer) const {
  const int64_t states = config_.num_hidden_layers + 1;
  if (layer < -states || layer > -1) {
    throw Error(ErrorCode::kInvalidArgument, "hidden layer " + std::to_string(layer) + " is not from -" +
                                                 std::to_string(states) + " to -1 (this text model has " +
                                                 std::to_string(config_.num_hidden_layers) + " layers)");
  }
  return states + layer;
}

at::Tensor Model::HiddenState(const std::vector<int64_t>& ids, int64_t layer, const Pause& pause,
                              const Tap& tap) const {
  const int64_t last = StateIndex(layer);
  if (ids.empty()) throw Error(ErrorCode::kInvalidArgument, "no tokens to encode");
  for (const int64_t id : ids) {
    if (id < 0 || id >= config_.vocab_size) {
      throw Error(ErrorCode::kInvalidArgument, "token id " + std::to_string(id) +
                                                   " is outside this text model's vocabulary of " +
                                                   std::to_string(config_.vocab_size));
    }
  }
  const at::InferenceMode no_gradients;
  const nn::PauseScope scope(pause);
  const Network& net = *network_;
  const at::Tensor index = at::tensor(ids, at::kLong).to(net.embed_tokens.options().device());
  const Rotation rotate(static_cast<int64_t>(ids.size()), config_, net.embed_tokens.options());

  at::Tensor x = net.embed_tokens.Rows(index);  // [T, D]
  if (tap) tap("hidden.0", x);
  for (int64_t i = 0; i < last; ++i) {
    if (pause) pause();
    x = net.layers[i](x, rotate);
    if (i + 1 == config_.num_hidden_layers) x = net.norm(x);
    if (tap) tap("hidden." + std::to_string(i + 1), x);
  }
  return x;
}

}  // namespace diptych::qwen3
