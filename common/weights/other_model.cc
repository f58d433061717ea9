#include "common/weights/other_model.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "common/foreign_text/foreign_text.h"

namespace diptych {
namespace {

bool Any(std::span<const RawTensor> raw, std::string_view fragment) {
  return std::any_of(raw.begin(), raw.end(),
                     [&](const RawTensor& tensor) { return tensor.name.find(fragment) != tensor.name.npos; });
}

bool AnyEnds(std::span<const RawTensor> raw, std::string_view ending) {
  return std::any_of(raw.begin(), raw.end(), [&](const RawTensor& tensor) { return tensor.name.ends_with(ending); });
}

// A model whose names contain each of these.
struct Known {
  std::string_view name;
  std::vector<std::string_view> fragments;
};

// Models that paint; the first that fits is it.
const std::vector<Known>& Painters() {
  static const std::vector<Known> kPainters = {
      {"Stable Diffusion XL", {"input_blocks.0.0.weight", "label_emb."}},
      {"Stable Diffusion 1.5 or 2", {"input_blocks.0.0.weight"}},
      {"Stable Diffusion XL", {"add_embedding.linear_1.", "down_blocks."}},
      {"Stable Diffusion 1.5 or 2", {"time_embedding.linear_1.", "down_blocks."}},
      {"Stable Diffusion 3", {"joint_blocks."}},
      {"FLUX.2", {"double_stream_modulation_img."}},
      {"Chroma", {"distilled_guidance_layer."}},
      {"HunyuanVideo", {"individual_token_refiner."}},
      {"FLUX.1", {"double_blocks.", "single_blocks."}},
      {"FLUX.1", {"single_transformer_blocks."}},
      {"Qwen-Image", {"transformer_blocks.", ".img_mod."}},
      {"Wan", {".cross_attn.", "head.modulation"}},
      {"Wan", {"condition_embedder.", ".attn2."}},
      {"Lumina 2", {"time_caption_embed."}},
      {"PixArt or LTX-Video", {"adaln_single."}},
  };
  return kPainters;
}

const std::vector<Known>& TextModels() {
  static const std::vector<Known> kTextModels = {
      {"T5", {".SelfAttention.", ".layer_norm."}},
      {"CLIP", {"text_model.encoder."}},
      {"CLIP", {"transformer.resblocks."}},
      {"a model that sees pictures, such as Qwen3-VL or Qwen2.5-VL", {"visual."}},
      {"Gemma", {"pre_feedforward_layernorm."}},
      {"a text model of another family (Llama, Mistral, Qwen2 or a kin of theirs)", {".self_attn.q_proj."}},
      {"a text model of another family (Llama, Mistral, Qwen2 or a kin of theirs)", {"blk.0.attn_q."}},
  };
  return kTextModels;
}

// By general.architecture, as llama.cpp's and ComfyUI-GGUF's conversions write it.
struct Architecture {
  std::string_view beginning;  // of the name: gemma2, gemma3, ...
  std::string_view model;
  bool paints = false;
};

constexpr Architecture kArchitectures[] = {{"qwen3vl", "a model that sees pictures (Qwen3-VL)"},
                                           {"qwen2vl", "a model that sees pictures (Qwen2-VL or Qwen2.5-VL)"},
                                           {"qwen3moe", "a mixture of experts (Qwen3)"},
                                           {"qwen3next", "Qwen3-Next"},
                                           {"qwen2", "Qwen2 or Qwen2.5"},
                                           {"llama", "Llama, Mistral or a kin of theirs"},
                                           {"mistral", "Mistral"},
                                           {"gemma", "Gemma"},
                                           {"t5", "T5"},
                                           {"clip", "the part of a model that sees pictures (mmproj)"},
                                           {"flux2", "FLUX.2", true},
                                           {"flux", "FLUX.1", true},
                                           {"sd1", "Stable Diffusion 1.5 or 2", true},
                                           {"sdxl", "Stable Diffusion XL", true},
                                           {"sd3", "Stable Diffusion 3", true},
                                           {"aura", "AuraFlow", true},
                                           {"hidream", "HiDream", true},
                                           {"cosmos", "Cosmos", true},
                                           {"hyvid", "HunyuanVideo", true},
                                           {"ltxv", "LTX-Video", true},
                                           {"qwen_image", "Qwen-Image", true},
                                           {"wan", "Wan", true}};
constexpr std::string_view kTextArchitecture = "qwen3", kTransformerArchitecture = "lumina2";

std::string_view Find(const std::vector<Known>& models, std::span<const RawTensor> raw) {
  for (const Known& model : models) {
    if (std::all_of(model.fragments.begin(), model.fragments.end(),
                    [&](std::string_view fragment) { return Any(raw, fragment); }))
      return model.name;
  }
  return "";
}

std::string Wanted(ModelPart part) {
  switch (part) {
    case ModelPart::kTransformer:
      return "the transformer of Z-Image, such as z_image_turbo_bf16.safetensors";
    case ModelPart::kVae:
      return "the VAE of Z-Image, which is FLUX.1's, ae.safetensors";
    case ModelPart::kTextEncoder:
      return "the text encoder of Z-Image, Qwen3-4B, such as qwen_3_4b.safetensors";
  }
  return "";
}

std::string Another(const std::string& what, ModelPart part) { return what + "; give " + Wanted(part); }

// Low-rank additions have the names of what they are added to.
bool IsLora(std::span<const RawTensor> raw) {
  constexpr std::string_view kMarks[] = {".lora_A.", ".lora_down.", "lora_unet_", ".lokr_w1", ".hada_w1_a"};
  return std::any_of(std::begin(kMarks), std::end(kMarks), [&](std::string_view mark) { return Any(raw, mark); });
}

std::string Addition(const std::string& what, ModelPart part) {
  return Another(what + ", which is added to a model and is none itself, and which is not read yet", part);
}

}  // namespace

std::string OtherArchitecture(ModelPart part, std::string_view architecture) {
  const bool is_text = part == ModelPart::kTextEncoder;
  if (architecture.empty() || architecture == (is_text ? kTextArchitecture : kTransformerArchitecture)) return "";
  if (architecture == kTextArchitecture) {
    return "a text model: give it as --text-encoder-path, and here " + Wanted(part);
  }
  if (architecture == kTransformerArchitecture) {
    return "a transformer of Z-Image: give it as --transformer-path, and here " + Wanted(part);
  }
  for (const Architecture& one : kArchitectures) {
    if (architecture.starts_with(one.beginning)) {
      return Another(std::string(one.model) + (one.paints ? ", another model" : ""), part);
    }
  }
  if (!is_text) return "";  // its names decide: there is no fixed word for Z-Image
  return Another("a model of another architecture, " + QuotedForeignText(architecture), part);
}

std::string OtherModel(ModelPart part, std::span<const RawTensor> raw) {
  if (IsLora(raw)) return Addition("a LoRA", part);
  if (Any(raw, "control_layers.") || Any(raw, "control_model.") || Any(raw, "controlnet_blocks.")) {
    return Addition("a ControlNet", part);
  }
  if (const std::string form = QuantisedForm(part, raw); !form.empty() && AnyEnds(raw, ".wscales")) return form;
  if (part != ModelPart::kTransformer && Any(raw, "noise_refiner.") && !Any(raw, ".self_attn.")) {
    return "a transformer of Z-Image: give it as --transformer-path, and here " + Wanted(part);
  }
  if (const std::string_view painter = Find(Painters(), raw); !painter.empty())
    return Another(std::string(painter) + ", another model", part);
  const bool is_video_vae = Any(raw, "decoder.middle.") || Any(raw, "decoder.upsamples.");
  if (part == ModelPart::kVae && is_video_vae) return Another("the VAE of Wan or Qwen-Image, another model", part);
  if (part != ModelPart::kVae && (is_video_vae || Any(raw, "decoder.conv_in."))) {
    return "a VAE: give it as --vae-path, and here " + Wanted(part);
  }
  if (part != ModelPart::kTextEncoder && (Any(raw, ".self_attn.q_norm.") || Any(raw, "blk.0.attn_q_norm."))) {
    return "a text model: give it as --text-encoder-path, and here " + Wanted(part);
  }
  if (const std::string_view text = Find(TextModels(), raw); !text.empty()) return Another(std::string(text), part);
  return "";
}

std::string Relative(ModelPart part, std::span<const RawTensor> raw) {
  if (IsLora(raw)) return Addition("a LoRA", part);
  const auto shape_of = [&](std::string_view name) -> std::span<const int64_t> {
    const auto found =
        std::find_if(raw.begin(), raw.end(), [&](const RawTensor& tensor) { return tensor.name == name; });
    return found == raw.end() ? std::span<const int64_t>() : found->shape;
  };
  switch (part) {
    case ModelPart::kTransformer:
      // The same network with an activation before the modulation, so that its linear has another number.
      if (!shape_of("layers.0.adaLN_modulation.1.weight").empty() &&
          shape_of("layers.0.adaLN_modulation.0.weight").empty()) {
        return Another("Lumina 2, another model", part);
      }
      break;
    case ModelPart::kVae: {
      const std::span<const int64_t> conv_in = shape_of("decoder.conv_in.weight");
      if (conv_in.size() == 5) return Another("the VAE of Wan or Qwen-Image, another model", part);
      if (shape_of("decoder.norm_out.weight").empty() || conv_in.size() != 4)
        break;  // diffusers' names come with a config.json
      if (conv_in[1] == 4) return Another("the VAE of Stable Diffusion (1.5, 2 or XL), another model", part);
      if (conv_in[1] == 32) return Another("the VAE of FLUX.2, another model", part);
      break;
    }
    case ModelPart::kTextEncoder:
      if (Any(raw, "pre_feedforward_layernorm.") || Any(raw, ".post_ffw_norm."))
        return Another("Gemma, another model", part);
      if (Any(raw, ".mlp.experts.") || Any(raw, ".ffn_gate_exps."))
        return Another("a mixture of experts, another model", part);
      if (Any(raw, ".linear_attn.")) return Another("a text model of another family (Qwen3-Next or a kin of it)", part);
      break;
  }
  return "";
}

std::string QuantisedForm(ModelPart part, std::span<const RawTensor> raw) {
  const auto is_stored = [&](std::string_view dtype) {
    return std::any_of(raw.begin(), raw.end(),
                       [&](const RawTensor& t) { return t.name.ends_with("weight") && t.dtype == dtype; });
  };
  const bool is_fp8 = is_stored("F8_E4M3") || is_stored("F8_E5M2");
  const bool is_scaled = AnyEnds(raw, ".weight_scale") || AnyEnds(raw, ".scale_weight") || AnyEnds(raw, "scaled_fp8") ||
                         AnyEnds(raw, ".comfy_quant");
  std::string form;
  if (AnyEnds(raw, ".wscales") || AnyEnds(raw, ".smooth_factor")) {
    form = "by nunchaku (SVDQuant)";
  } else if (AnyEnds(raw, ".qweight")) {
    form = "by GPTQ or AWQ";
  } else if (AnyEnds(raw, ".absmax") || Any(raw, ".quant_state.")) {
    form = "by bitsandbytes";
  } else if (AnyEnds(raw, ".weight_scale_2")) {
    form = "as nvfp4";
  } else if (is_stored("I8") && is_scaled) {
    form = "as int8";
  } else if (AnyEnds(raw, ".pre_quant_scale")) {
    form = "with scales of what it is multiplied with (pre_quant_scale)";
  } else if (is_scaled && !is_fp8) {
    form = "with scales";
  }
  if (form.empty()) return "";
  return "quantised " + form + ", which is not read yet; give one in bfloat16: " + Wanted(part);
}

}  // namespace diptych
