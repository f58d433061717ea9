#include "tools/random_checkpoint/config_files.h"

#include <nlohmann/json.hpp>

#include "tools/random_checkpoint/random_tensor.h"
#include "tools/random_checkpoint/tokenizer_file.h"

namespace diptych::random_checkpoint {
namespace {

using nlohmann::ordered_json;

constexpr const char* kDiffusersVersion = "0.36.0";

std::string Text(const ordered_json& json) { return json.dump(2) + "\n"; }

}  // namespace

std::string ModelIndexJson() {
  return Text({
      {"_class_name", "ZImagePipeline"},
      {"_diffusers_version", kDiffusersVersion},
      {"scheduler", {"diffusers", "FlowMatchEulerDiscreteScheduler"}},
      {"text_encoder", {"transformers", "Qwen3Model"}},
      {"tokenizer", {"transformers", "Qwen2Tokenizer"}},
      {"transformer", {"diffusers", "ZImageTransformer2DModel"}},
      {"vae", {"diffusers", "AutoencoderKL"}},
  });
}

std::string TextEncoderConfigJson(const TextEncoderSizes& sizes, const std::string& dtype) {
  return Text({
      {"architectures", ordered_json::array({"Qwen3ForCausalLM"})},
      {"attention_bias", false},
      {"attention_dropout", 0.0},
      {"bos_token_id", AddedTokenId("<|endoftext|>")},
      {"eos_token_id", AddedTokenId("<|im_end|>")},
      {"head_dim", sizes.head_dim},
      {"hidden_act", "silu"},
      {"hidden_size", sizes.hidden},
      {"initializer_range", 0.02},
      {"intermediate_size", sizes.intermediate},
      {"max_position_embeddings", 40960},
      {"max_window_layers", sizes.layers},
      {"model_type", "qwen3"},
      {"num_attention_heads", sizes.heads},
      {"num_hidden_layers", sizes.layers},
      {"num_key_value_heads", sizes.kv_heads},
      {"rms_norm_eps", 1e-6},
      {"rope_scaling", nullptr},
      {"rope_theta", 1000000},
      {"sliding_window", nullptr},
      {"tie_word_embeddings", sizes.tied},
      {"torch_dtype", dtype},
      {"transformers_version", "4.51.0"},
      {"use_cache", true},
      {"use_sliding_window", false},
      {"vocab_size", sizes.vocabulary},
  });
}

std::string TransformerConfigJson(const TransformerSizes& sizes, int64_t caption_dim) {
  const int64_t head_dim = sizes.head_dim();
  return Text({
      {"_class_name", "ZImageTransformer2DModel"},
      {"_diffusers_version", kDiffusersVersion},
      {"all_f_patch_size", {1}},
      {"all_patch_size", {2}},
      {"axes_dims", {head_dim / 4, head_dim * 3 / 8, head_dim * 3 / 8}},
      {"axes_lens", {1536, 512, 512}},
      {"cap_feat_dim", caption_dim},
      {"dim", sizes.dim},
      {"in_channels", kLatentChannels},
      {"n_heads", sizes.heads},
      {"n_kv_heads", sizes.heads},
      {"n_layers", sizes.layers},
      {"n_refiner_layers", sizes.refiner_layers},
      {"norm_eps", 1e-5},
      {"qk_norm", true},
      {"rope_theta", 256.0},
      {"t_scale", 1000.0},
  });
}

std::string VaeConfigJson(const VaeSizes& sizes, int64_t native_size) {
  const size_t levels = sizes.channels.size();
  return Text({
      {"_class_name", "AutoencoderKL"},
      {"_diffusers_version", kDiffusersVersion},
      {"act_fn", "silu"},
      {"block_out_channels", sizes.channels},
      {"down_block_types", std::vector<std::string>(levels, "DownEncoderBlock2D")},
      {"force_upcast", true},
      {"in_channels", 3},
      {"latent_channels", kLatentChannels},
      {"latents_mean", nullptr},
      {"latents_std", nullptr},
      {"layers_per_block", sizes.layers_per_block},
      {"mid_block_add_attention", true},
      {"norm_num_groups", sizes.groups},
      {"out_channels", 3},
      {"sample_size", native_size},
      {"scaling_factor", 0.3611},
      {"shift_factor", 0.1159},
      {"up_block_types", std::vector<std::string>(levels, "UpDecoderBlock2D")},
      {"use_post_quant_conv", false},
      {"use_quant_conv", false},
  });
}

std::string SchedulerConfigJson(double shift) {
  return Text({
      {"_class_name", "FlowMatchEulerDiscreteScheduler"},
      {"_diffusers_version", kDiffusersVersion},
      {"num_train_timesteps", 1000},
      {"use_dynamic_shifting", false},
      {"shift", shift},
  });
}

}  // namespace diptych::random_checkpoint
