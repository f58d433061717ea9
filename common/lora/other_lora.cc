#include "common/lora/other_lora.h"

#include <algorithm>
#include <vector>

#include "common/lora/lora_keys.h"

namespace diptych {
namespace {

using Names = std::span<const std::string_view>;

bool Any(Names names, std::string_view fragment) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return name.find(fragment) != name.npos; });
}

// A model that has each of these in its names, with dots or with underscores for them.
struct Known {
  std::string_view model;
  std::vector<std::vector<std::string_view>> fragments;  // one of each
};

// The first that fits is it.
const std::vector<Known>& Painters() {
  static const std::vector<Known> kPainters = {
      {"Stable Diffusion XL",
       {{"down_blocks", "up_blocks", "input_blocks", "output_blocks", "mid_block", "middle_block"},
        {"transformer_blocks.1.", "transformer_blocks_1_", "lora_te2_", "text_encoder_2."}}},
      {"Stable Diffusion 1.5 or 2",
       {{"down_blocks", "up_blocks", "input_blocks", "output_blocks", "mid_block", "middle_block"}}},
      {"Stable Diffusion 3", {{"joint_blocks"}}},
      {"FLUX.2", {{"double_stream_modulation"}}},
      {"Chroma", {{"distilled_guidance_layer"}}},
      {"HunyuanVideo", {{"individual_token_refiner"}}},
      {"HiDream", {{"double_stream_blocks", "single_stream_blocks"}}},
      {"FLUX.1", {{"double_blocks", "single_blocks", "single_transformer_blocks"}}},
      {"Qwen-Image", {{"transformer_blocks"}, {"img_mod", "txt_mod", "img_mlp", "txt_mlp"}}},
      {"Stable Diffusion 3", {{"transformer_blocks"}, {"add_q_proj", "add_k_proj", "ff_context"}}},
      {"PixArt, Sana or LTX-Video", {{"transformer_blocks"}, {"attn1"}}},
      {"Wan", {{"blocks"}, {"cross_attn", "self_attn.q.", "self_attn_q.", "attn2"}}},
      {"Lumina 2", {{"layers"}, {".attn.to_q", "_attn_to_q", "time_caption_embed"}}},
      {"Qwen-Image or a kin of it", {{"transformer_blocks"}, {"attn.to_q", "attn_to_q", "add_q_proj"}}},
  };
  return kPainters;
}

std::string_view Painter(Names names) {
  for (const Known& known : Painters()) {
    if (std::all_of(known.fragments.begin(), known.fragments.end(),
                    [&](const std::vector<std::string_view>& fragments) {
                      return std::any_of(fragments.begin(), fragments.end(),
                                         [&](std::string_view one) { return Any(names, one); });
                    }))
      return known.model;
  }
  return "";
}

// Additions of kinds that are not read.
std::string_view OtherKind(Names names) {
  if (Any(names, ".oft_blocks") || Any(names, ".oft_diag") || Any(names, ".oft_R")) return "OFT";
  if (Any(names, ".ia3_") || Any(names, ".on_input")) return "IA3";
  if (Any(names, ".vera_lambda")) return "VeRA";
  if (Any(names, ".a1.weight") && Any(names, ".b1.weight")) return "GLoRA";
  return "";
}

}  // namespace

std::string SeemsToBe(Names names) {
  if (names.empty()) return "a file without tensors";
  if (Any(names, "control_layers") || Any(names, "controlnet_") || Any(names, "control_model.")) {
    return "a ControlNet, which is added in another way and is no LoRA";
  }
  if (Any(names, "emb_params") || Any(names, "string_to_param")) {
    return "an embedding (textual inversion), which is for a text encoder of another model";
  }
  const bool is_lora =
      std::any_of(names.begin(), names.end(), [](std::string_view name) { return ParseLoraKey(name).has_value(); });
  if (!is_lora) {
    if (const std::string_view kind = OtherKind(names); !kind.empty()) {
      return "an addition of the kind " + std::string(kind) +
             ", which is not read; LoRA, LoHa, LoKr and differences are";
    }
    if (Any(names, "cap_embedder.") && Any(names, "noise_refiner.")) {
      return "a transformer of Z-Image itself and no LoRA; give it as --transformer-path";
    }
    const std::string_view painter = Painter(names);
    return painter.empty() ? "no LoRA: none of its tensors has a name of one"
                           : "a checkpoint of " + std::string(painter) + ", another model, and no LoRA";
  }
  if (const std::string_view painter = Painter(names); !painter.empty()) {
    return "a LoRA of " + std::string(painter) + ", another model";
  }
  if (std::all_of(names.begin(), names.end(), IsOfTextEncoder)) {
    return "a LoRA for a text encoder alone, which is not read";
  }
  if (Any(names, "self_attn.q_proj") || Any(names, "self_attn_q_proj")) return "a LoRA of a text model";
  return "a LoRA of another model, or in names that are not known";
}

}  // namespace diptych
