#include "tools/random_checkpoint/random_tensor.h"

namespace diptych::random_checkpoint {

RandomTensors TextEncoderTensors(const TextEncoderSizes& s) {
  RandomTensors tensors = {{"model.embed_tokens.weight", {s.vocabulary, s.hidden}, 0.0, 1.0}};
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    tensors.insert(tensors.end(), {
                                      Scale(layer + "input_layernorm", s.hidden),
                                      Matrix(layer + "self_attn.q_proj", s.heads * s.head_dim, s.hidden),
                                      Matrix(layer + "self_attn.k_proj", s.kv_heads * s.head_dim, s.hidden),
                                      Matrix(layer + "self_attn.v_proj", s.kv_heads * s.head_dim, s.hidden),
                                      Matrix(layer + "self_attn.o_proj", s.hidden, s.heads * s.head_dim),
                                      Scale(layer + "self_attn.q_norm", s.head_dim),
                                      Scale(layer + "self_attn.k_norm", s.head_dim),
                                      Scale(layer + "post_attention_layernorm", s.hidden),
                                      Matrix(layer + "mlp.gate_proj", s.intermediate, s.hidden),
                                      Matrix(layer + "mlp.up_proj", s.intermediate, s.hidden),
                                      Matrix(layer + "mlp.down_proj", s.hidden, s.intermediate),
                                  });
  }
  tensors.push_back(Scale("model.norm", s.hidden));
  if (!s.tied) tensors.push_back(Matrix("lm_head", s.vocabulary, s.hidden));
  return tensors;
}

}  // namespace diptych::random_checkpoint
