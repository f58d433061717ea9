#include "common/lora/lora_keys.h"

#include <algorithm>
#include <utility>

namespace diptych {
namespace {

struct Spelling {
  std::string_view text;
  LoraRole role;
};

// The first of a role is its name.
constexpr Spelling kSpellings[] = {{"lora_A", LoraRole::kDown},
                                   {"lora_down", LoraRole::kDown},
                                   {"lora_B", LoraRole::kUp},
                                   {"lora_up", LoraRole::kUp},
                                   {"lora_mid", LoraRole::kMid},
                                   {"lora_B.bias", LoraRole::kUpBias},
                                   {"hada_w1_a", LoraRole::kHadaW1A},
                                   {"hada_w1_b", LoraRole::kHadaW1B},
                                   {"hada_w2_a", LoraRole::kHadaW2A},
                                   {"hada_w2_b", LoraRole::kHadaW2B},
                                   {"lokr_w1", LoraRole::kLokrW1},
                                   {"lokr_w1_a", LoraRole::kLokrW1A},
                                   {"lokr_w1_b", LoraRole::kLokrW1B},
                                   {"lokr_w2", LoraRole::kLokrW2},
                                   {"lokr_w2_a", LoraRole::kLokrW2A},
                                   {"lokr_w2_b", LoraRole::kLokrW2B},
                                   {"hada_t1", LoraRole::kTucker},
                                   {"hada_t2", LoraRole::kTucker},
                                   {"lokr_t2", LoraRole::kTucker},
                                   {"diff", LoraRole::kDifference},
                                   {"diff_b", LoraRole::kBias},
                                   {"alpha", LoraRole::kAlpha},
                                   {"lora_magnitude_vector", LoraRole::kPeftMagnitude},
                                   {"dora_scale", LoraRole::kDoraScale}};

std::optional<LoraRole> RoleOf(std::string_view text) {
  for (const Spelling& spelling : kSpellings) {
    if (spelling.text == text) return spelling.role;
  }
  return std::nullopt;
}

// Those behind which PEFT and its kin write the name of the adapter.
bool MayHaveAdapter(LoraRole role) {
  return role == LoraRole::kDown || role == LoraRole::kUp || role == LoraRole::kPeftMagnitude;
}

// Takes what follows the last dot off `name`, with the dot. Empty: there is none.
std::string_view TakeSegment(std::string_view& name) {
  const size_t dot = name.rfind('.');
  if (dot == name.npos) return {};
  const std::string_view segment = name.substr(dot + 1);
  name = name.substr(0, dot);
  return segment;
}

bool TakeEnding(std::string_view& name, std::string_view ending) {
  if (!name.ends_with(ending)) return false;
  name.remove_suffix(ending.size());
  return true;
}

std::optional<LoraKey> KeyOf(std::string_view layer, LoraRole role) {
  if (layer.empty()) return std::nullopt;
  return LoraKey{layer, role};
}

// Longer ones before those that they begin with.
constexpr std::string_view kPrefixes[] = {"base_model.model.", "model.diffusion_model.",
                                          "diffusion_model.",  "transformer.",
                                          "lora_transformer_", "lora_unet__",
                                          "lora_unet_",        "lycoris_"};
constexpr int kMostPrefixes = 3;  // base_model.model.transformer. is two

std::string WithUnderscores(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

constexpr std::string_view kToQ = "attention.to_q", kOut = "attention.to_out.0";
constexpr std::string_view kPatchEmbedder = "all_x_embedder.2-1", kFinalLayer = "all_final_layer.2-1.";

// Under what name else a module goes. Source: the original checkpoint; `out.0` and `wo` are of trainers.
std::vector<std::string> OtherNames(const std::string& module) {
  std::vector<std::string> names;
  if (module.ends_with(kOut)) {
    const std::string front = module.substr(0, module.size() - kOut.size()) + "attention.";
    for (const char* name : {"out", "out.0", "wo"}) names.push_back(front + name);
  }
  if (module == kPatchEmbedder) names.push_back("x_embedder");
  if (module.starts_with(kFinalLayer)) names.push_back("final_layer." + module.substr(kFinalLayer.size()));
  return names;
}

}  // namespace

std::string_view RoleName(LoraRole role) {
  const auto* found = std::find_if(std::begin(kSpellings), std::end(kSpellings),
                                   [&](const Spelling& spelling) { return spelling.role == role; });
  return found->text;
}

std::optional<LoraKey> ParseLoraKey(std::string_view name) {
  std::string_view rest = name;
  TakeEnding(rest, ".weight");
  const std::string_view last = TakeSegment(rest);
  if (const std::optional<LoraRole> role = RoleOf(last)) return KeyOf(rest, *role);
  if (last == "down" || last == "up") {
    const bool is_known =
        TakeEnding(rest, ".lora") || TakeEnding(rest, ".lora_linear_layer") || TakeEnding(rest, "_lora");
    return is_known ? KeyOf(rest, last == "up" ? LoraRole::kUp : LoraRole::kDown) : std::nullopt;
  }
  std::optional<LoraRole> role = RoleOf(TakeSegment(rest));
  if (last == "bias" && !role) role = RoleOf(TakeSegment(rest));  // behind an adapter's name
  if (last == "bias") return role == LoraRole::kUp ? KeyOf(rest, LoraRole::kUpBias) : std::nullopt;
  return role && MayHaveAdapter(*role) ? KeyOf(rest, *role) : std::nullopt;
}

bool IsOfTextEncoder(std::string_view name) {
  if (name.starts_with("base_model.model.")) name.remove_prefix(17);
  for (const std::string_view prefix : {"text_encoder.", "text_encoder_2.", "text_encoders.", "text_model.", "lora_te_",
                                        "lora_te1_", "lora_te2_", "lora_te3_", "cond_stage_model.", "conditioner."}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

LoraTargets::LoraTargets(const LoraModules& modules) {
  for (const auto& [module, shape] : modules) {
    targets_.push_back({.name = module, .out = shape[0], .in = shape[1], .rows = {{module, 0, shape[0]}}});
  }
  for (const auto& [module, shape] : modules) {
    if (!module.ends_with(kToQ)) continue;
    const std::string front = module.substr(0, module.size() - 4);  // as far as "attention."
    LoraTarget fused{.name = front + "qkv", .out = 0, .in = shape[1], .rows = {}};
    for (const char* one : {"to_q", "to_k", "to_v"}) {
      const auto found = modules.find(front + one);
      if (found == modules.end() || found->second[1] != fused.in) break;
      fused.rows.push_back({found->first, fused.out, found->second[0]});
      fused.out += found->second[0];
    }
    if (fused.rows.size() == 3) targets_.push_back(std::move(fused));
  }
  for (size_t i = 0; i < targets_.size(); ++i) AddName(targets_[i].name, i, true);
  for (size_t i = 0; i < targets_.size(); ++i) {
    AddName(WithUnderscores(targets_[i].name), i, true);
    for (const std::string& name : OtherNames(targets_[i].name)) {
      AddName(name, i, false);
      AddName(WithUnderscores(name), i, false);
    }
  }
}

// The name of a target is its own, whatever else would go by it; of others that share one it cannot be said.
void LoraTargets::AddName(const std::string& name, size_t target, bool is_own_name) {
  const auto [known, is_new] = by_name_.emplace(name, Entry{target, is_own_name, false});
  if (is_new || known->second.target == target || targets_[known->second.target].name == name) return;
  known->second.is_ambiguous = true;
}

LoraTargets::Found LoraTargets::Find(std::string_view layer) const {
  for (int taken = 0; taken <= kMostPrefixes; ++taken) {
    if (const auto found = by_name_.find(layer); found != by_name_.end()) {
      if (found->second.is_ambiguous) break;
      return {&targets_[found->second.target], found->second.is_own_name};
    }
    const auto* prefix = std::find_if(std::begin(kPrefixes), std::end(kPrefixes),
                                      [&](std::string_view one) { return layer.starts_with(one); });
    if (prefix == std::end(kPrefixes)) break;
    layer.remove_prefix(prefix->size());
  }
  return {nullptr, false};
}

}  // namespace diptych
