#include "common/weights/layout.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/error/error.h"
#include "common/weights/other_model.h"
#include "common/weights/safetensors.h"

namespace diptych {
namespace {

using Words = std::initializer_list<std::string_view>;

bool BeginsWithOneOf(std::string_view name, std::span<const std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string_view beginning) { return name.starts_with(beginning); });
}
bool BeginsWithOneOf(std::string_view name, Words beginnings) {
  return BeginsWithOneOf(name, std::span(beginnings.begin(), beginnings.size()));
}

[[noreturn]] void Refuse(const std::string& path, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, path + ": " + why);
}

CanonicalTensor Whole(const RawTensor& tensor, size_t raw, std::string name) {
  return {.name = std::move(name), .raw = raw, .shape = {tensor.shape.begin(), tensor.shape.end()}};
}

// Of "layers.12.attention.to_q.weight" and "layers." what follows the number, "attention.to_q.weight"; empty: it has
// none.
std::string_view BehindNumber(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return {};
  name.remove_prefix(stem.size());
  const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  return digits == 0 || digits == name.size() || name[digits] != '.' ? std::string_view() : name.substr(digits + 1);
}

// Of a tensor of one of the transformer's blocks the name within the block.
std::string_view InBlock(std::string_view name) {
  for (const std::string_view stem : {"layers.", "noise_refiner.", "context_refiner."}) {
    if (const std::string_view rest = BehindNumber(name, stem); !rest.empty()) return rest;
  }
  return {};
}

// Names that no other part has, under which the part is found.
bool IsOfTransformer(std::string_view name) {
  return BeginsWithOneOf(InBlock(name),
                         {"attention.", "attention_norm", "feed_forward.", "ffn_norm", "adaLN_modulation."}) ||
         BeginsWithOneOf(name, {"cap_embedder.", "all_x_embedder.", "all_final_layer."}) || name == "x_pad_token" ||
         name == "cap_pad_token";
}

// What follows encoder. or decoder.
std::string_view InCoder(std::string_view name) {
  for (const std::string_view coder : {"encoder.", "decoder."}) {
    if (name.starts_with(coder)) return name.substr(coder.size());
  }
  return {};
}

bool IsLdmModule(std::string_view in_coder) { return BeginsWithOneOf(in_coder, {"down.", "up.", "mid.", "norm_out."}); }

bool IsDiffusersModule(std::string_view in_coder) {
  return BeginsWithOneOf(in_coder, {"down_blocks.", "up_blocks.", "mid_block.", "conv_norm_out."});
}

bool IsOfVae(std::string_view name) {
  const std::string_view rest = InCoder(name);
  return IsLdmModule(rest) || IsDiffusersModule(rest) || BeginsWithOneOf(rest, {"conv_in.", "conv_out."});
}

// Prefixes that parts have in merged files, none of which is one of a part that lies alone.
constexpr std::string_view kMergedPrefixes[] = {
    "model.diffusion_model.", "diffusion_model.",  "first_stage_model.", "vae.",       "text_encoders.",
    "text_encoder.",          "cond_stage_model.", "conditioner.",       "model_ema.", "control_model."};

bool IsForeignBeside(std::string_view name) { return BeginsWithOneOf(name, kMergedPrefixes); }

// The prefix under which `name` is one of the text model's layers, with the "model." that transformers writes; nullopt:
// it is none.
std::optional<std::string_view> TextPrefix(std::string_view name) {
  constexpr std::string_view kLayers = "layers.", kModel = "model.";
  for (size_t at = name.find(kLayers); at != name.npos; at = name.find(kLayers, at + 1)) {
    if (at > 0 && name[at - 1] != '.') continue;
    if (!BeginsWithOneOf(BehindNumber(name.substr(at), kLayers),
                         {"self_attn.", "mlp.", "input_layernorm.", "post_attention_layernorm."}))
      continue;
    const std::string_view prefix = name.substr(0, at);
    if (prefix.empty() || prefix == kModel ||
        BeginsWithOneOf(prefix, {"text_encoders.", "text_encoder.", "cond_stage_model.", "conditioner."})) {
      return prefix;
    }
  }
  return std::nullopt;
}

constexpr std::string_view kBlk = "blk.", kLayers = "model.layers.";

// One of a text model's layers as llama.cpp calls them.
bool IsLlamaCppLayer(std::string_view name) { return BeginsWithOneOf(BehindNumber(name, kBlk), {"attn_", "ffn_"}); }

std::optional<std::string_view> PrefixOf(ModelPart part, std::string_view name) {
  if (part == ModelPart::kTextEncoder && IsLlamaCppLayer(name)) return "";
  if (part == ModelPart::kTextEncoder) return TextPrefix(name);
  static constexpr std::string_view kOfTransformer[] = {"model.diffusion_model.", "diffusion_model.", ""};
  static constexpr std::string_view kOfVae[] = {"first_stage_model.", "vae.", ""};
  const bool is_vae = part == ModelPart::kVae;
  for (const std::string_view prefix : is_vae ? std::span(kOfVae) : std::span(kOfTransformer)) {
    if (!name.starts_with(prefix)) continue;
    const std::string_view rest = name.substr(prefix.size());
    if (is_vae ? IsOfVae(rest) : IsOfTransformer(rest)) return prefix;
  }
  return std::nullopt;
}

std::string PrefixText(std::string_view prefix) {
  return prefix.empty() ? "no prefix" : "the prefix " + std::string(prefix);
}

// One of the part's tensors at least lies under each of the prefixes.
using Groups = std::map<std::string_view, std::vector<std::string_view>>;  // prefix -> what follows it, sorted

[[noreturn]] void RefuseTwo(ModelPart part, const Groups& groups, const std::string& path) {
  const auto& [one, of_one] = *groups.begin();
  const auto& [other, of_other] = *std::next(groups.begin());
  std::vector<std::string_view> in_both;
  std::set_intersection(of_one.begin(), of_one.end(), of_other.begin(), of_other.end(), std::back_inserter(in_both));
  const std::string what(PartName(part));
  if (!in_both.empty()) {
    throw Error(ErrorCode::kInvalidArgument, path + ": holds the " + what + " twice, with " + PrefixText(one) +
                                                 " and with " + PrefixText(other) + " (" + std::string(in_both[0]) +
                                                 " is in both); give a file with one");
  }
  throw Error(ErrorCode::kInvalidArgument, path + ": " + std::to_string(of_one.size()) + " tensors of the " + what +
                                               " have " + PrefixText(one) + ", such as " + std::string(one) +
                                               std::string(of_one[0]) + ", and " + std::to_string(of_other.size()) +
                                               " have " + PrefixText(other) + ", such as " + std::string(other) +
                                               std::string(of_other[0]) + "; all of them must have the same");
}

// The prefix that is to be taken off; nullopt: nothing here is of the part.
std::optional<std::string> FindPrefix(ModelPart part, std::span<const RawTensor> raw, const std::string& path) {
  constexpr std::string_view kModel = "model.";
  Groups groups;
  std::set<std::string_view> with_norms;  // text models of Qwen3's kind: their prefixes without "model."
  const auto base_of = [&](std::string_view prefix) {
    const bool has_model = part == ModelPart::kTextEncoder && prefix.ends_with(kModel);
    return has_model ? prefix.substr(0, prefix.size() - kModel.size()) : prefix;
  };
  for (const RawTensor& tensor : raw) {
    const std::optional<std::string_view> prefix = PrefixOf(part, tensor.name);
    if (!prefix) continue;
    groups[*prefix].push_back(tensor.name.substr(prefix->size()));
    const bool is_norm = tensor.name.ends_with(".self_attn.q_norm.weight") ||
                         (IsLlamaCppLayer(tensor.name) && tensor.name.ends_with(".attn_q_norm.weight"));
    if (is_norm) with_norms.insert(base_of(*prefix));
  }
  if (part == ModelPart::kTextEncoder) {  // a merged file may have others beside it
    std::erase_if(groups, [&](const auto& group) { return !with_norms.contains(base_of(group.first)); });
  }
  if (groups.empty()) return std::nullopt;
  if (groups.size() > 1) RefuseTwo(part, groups, path);
  return std::string(base_of(groups.begin()->first));
}

// Replaces `from` where it first begins a segment of the name.
void Replace(std::string& name, std::string_view from, std::string_view to) {
  for (size_t at = name.find(from); at != name.npos; at = name.find(from, at + 1)) {
    if (at > 0 && name[at - 1] != '.') continue;
    name.replace(at, from.size(), to);
    return;
  }
}

struct Renamed {
  std::string_view raw, canonical;
};

// Source: the tables of z_image_turbo_bf16.safetensors and of diffusers' ZImageTransformer2DModel.
constexpr Renamed kFusedBlockNames[] = {{"attention.out.", "attention.to_out.0."},
                                        {"attention.q_norm.", "attention.norm_q."},
                                        {"attention.k_norm.", "attention.norm_k."}};
constexpr Renamed kFusedOuterNames[] = {{"x_embedder.", "all_x_embedder.2-1."},
                                        {"final_layer.", "all_final_layer.2-1."}};

std::span<const Renamed> FusedNames(std::string_view name) {
  return InBlock(name).empty() ? std::span<const Renamed>(kFusedOuterNames)
                               : std::span<const Renamed>(kFusedBlockNames);
}

// Of a module of the VAE, but for up and up_blocks, which count in opposite directions.
constexpr Renamed kLdmNames[] = {{"mid.block_1.", "mid_block.resnets.0."},
                                 {"mid.block_2.", "mid_block.resnets.1."},
                                 {"mid.attn_1.norm.", "mid_block.attentions.0.group_norm."},
                                 {"mid.attn_1.q.", "mid_block.attentions.0.to_q."},
                                 {"mid.attn_1.k.", "mid_block.attentions.0.to_k."},
                                 {"mid.attn_1.v.", "mid_block.attentions.0.to_v."},
                                 {"mid.attn_1.proj_out.", "mid_block.attentions.0.to_out.0."},
                                 {"down.", "down_blocks."},
                                 {"downsample.conv.", "downsamplers.0.conv."},
                                 {"upsample.conv.", "upsamplers.0.conv."},
                                 {"block.", "resnets."},
                                 {"nin_shortcut.", "conv_shortcut."},
                                 {"norm_out.", "conv_norm_out."}};
constexpr std::string_view kLdmUp = "decoder.up.", kUpBlocks = "decoder.up_blocks.";
constexpr std::string_view kQkv = "attention.qkv.", kWeight = "weight";
constexpr std::string_view kScale = "weight_scale", kOldScale = "scale_weight";
constexpr std::string_view kSplit[] = {"attention.to_q.", "attention.to_k.",
                                       "attention.to_v."};  // in the order of the rows of qkv

// Of a layer and of what is none. Source: gguf-py of llama.cpp, tensor_mapping.py.
constexpr Renamed kLlamaCppLayerNames[] = {
    {"attn_norm.", "input_layernorm."},    {"attn_q.", "self_attn.q_proj."},
    {"attn_k.", "self_attn.k_proj."},      {"attn_v.", "self_attn.v_proj."},
    {"attn_output.", "self_attn.o_proj."}, {"attn_q_norm.", "self_attn.q_norm."},
    {"attn_k_norm.", "self_attn.k_norm."}, {"ffn_norm.", "post_attention_layernorm."},
    {"ffn_gate.", "mlp.gate_proj."},       {"ffn_up.", "mlp.up_proj."},
    {"ffn_down.", "mlp.down_proj."}};
constexpr Renamed kLlamaCppOuterNames[] = {
    {"token_embd.", "model.embed_tokens."}, {"output_norm.", "model.norm."}, {"output.", "lm_head."}};

// `name` with another beginning, by the first row of the table that has one for it; else itself.
std::string WithBeginning(std::string_view name, std::span<const Renamed> table, std::string_view Renamed::*from,
                          std::string_view Renamed::*to) {
  for (const Renamed& one : table) {
    if (name.starts_with(one.*from)) return std::string(one.*to) + std::string(name.substr((one.*from).size()));
  }
  return std::string(name);
}

// blk.3.ffn_up.weight <-> model.layers.3.mlp.up_proj.weight. What is in no table stays as it is.
std::string OtherTextName(std::string_view name, std::string_view Renamed::*from, std::string_view Renamed::*to) {
  const bool is_raw = from == &Renamed::raw;
  const std::string_view stem = is_raw ? kBlk : kLayers, other_stem = is_raw ? kLayers : kBlk;
  const std::string_view rest = BehindNumber(name, stem);
  if (rest.empty()) return WithBeginning(name, kLlamaCppOuterNames, from, to);
  const std::string renamed = WithBeginning(rest, kLlamaCppLayerNames, from, to);
  if (renamed == rest) return std::string(name);
  return std::string(other_stem) + std::string(name.substr(stem.size(), name.size() - rest.size() - stem.size())) +
         renamed;
}

// The number behind `stem`, at most six digits; nullopt: there is none.
std::optional<int64_t> NumberBehind(std::string_view name, std::string_view stem) {
  const std::string_view rest = BehindNumber(name, stem);
  if (rest.empty()) return std::nullopt;
  const std::string digits(name.substr(stem.size(), name.size() - rest.size() - 1 - stem.size()));
  return digits.size() > 6 ? std::nullopt : std::optional<int64_t>(std::stoll(digits));
}

// decoder.up.2.REST <-> decoder.up_blocks.1.REST of four levels.
void CountTheOtherWay(std::string& name, std::string_view from, std::string_view to, int64_t levels) {
  const std::optional<int64_t> number = NumberBehind(name, from);
  if (!number || *number >= levels) return;
  name = std::string(to) + std::to_string(levels - 1 - *number) + "." + std::string(BehindNumber(name, from));
}

// The shape in which the models ask for a tensor of that many elements.
std::vector<int64_t> CanonicalShape(ModelPart part, std::string_view canonical, std::span<const int64_t> shape) {
  const bool is_pad_token =
      part == ModelPart::kTransformer && (canonical == "x_pad_token" || canonical == "cap_pad_token");
  if (is_pad_token && shape.size() == 1) return {1, shape[0]};
  const bool is_projection = part == ModelPart::kVae && canonical.ends_with(".weight") &&
                             canonical.find(".attentions.0.to_") != canonical.npos;
  const bool is_kernel = shape.size() == 4 && shape[2] == 1 && shape[3] == 1;
  if (is_projection && is_kernel) return {shape[0], shape[1]};  // a 1x1 convolution is a product with a matrix
  return {shape.begin(), shape.end()};
}

// What only says that a file is quantised, or is for activations, which are not.
bool IsMarker(std::string_view name) {
  return name == "scaled_fp8" || name.ends_with(".comfy_quant") || name.ends_with(".input_scale") ||
         name.ends_with(".scale_input");
}

// Parameters that the model does not have and files carry all the same.
bool IsStray(ModelPart part, std::string_view name) {
  return part == ModelPart::kTransformer && BeginsWithOneOf(name, {"norm_final.", "t_embedder_2."});
}

}  // namespace

Layout Layout::Of(ModelPart part, std::span<const RawTensor> raw, const std::string& path,
                  std::string_view architecture) {
  Layout layout;
  layout.part_ = part;
  if (const std::string other = OtherArchitecture(part, architecture); !other.empty()) Refuse(path, "this is " + other);
  const std::optional<std::string> prefix = FindPrefix(part, raw, path);
  if (!prefix) {
    if (const std::string other = OtherModel(part, raw); !other.empty()) Refuse(path, "this is " + other);
    for (size_t i = 0; i < raw.size(); ++i) layout.tensors_.push_back(Whole(raw[i], i, std::string(raw[i].name)));
    return layout;
  }
  layout.prefix_ = *prefix;

  std::vector<RawTensor> own;  // by the names behind the prefix
  std::vector<size_t> places;  // of each of them in `raw`
  for (size_t i = 0; i < raw.size(); ++i) {
    const std::string_view name = raw[i].name;
    if (name == "scaled_fp8") {
      layout.is_plain_ = false;
    } else if (prefix->empty() ? IsForeignBeside(name) : !name.starts_with(*prefix)) {
      layout.foreign_.emplace_back(name);
    } else if (const std::string_view rest = name.substr(prefix->size()); IsMarker(rest)) {
      layout.is_plain_ = false;
    } else if (!IsStray(part, rest)) {
      own.push_back({rest, raw[i].shape, raw[i].dtype});
      places.push_back(i);
    }
  }
  if (!prefix->empty() || own.size() != raw.size()) layout.is_plain_ = false;
  if (const std::string relative = Relative(part, own); !relative.empty()) Refuse(path, "this is " + relative);
  if (const std::string form = QuantisedForm(part, own); !form.empty()) Refuse(path, "its weights are " + form);

  layout.DecideNaming(own, path);
  for (size_t i = 0; i < own.size(); ++i) layout.Add(own[i], places[i], path);
  std::map<std::string_view, size_t> seen;
  for (const CanonicalTensor& tensor : layout.tensors_) {
    const auto [other, is_new] = seen.emplace(tensor.name, tensor.raw);
    if (is_new) continue;
    Refuse(path, "both " + std::string(raw[other->second].name) + " and " + std::string(raw[tensor.raw].name) +
                     " would be " + tensor.name);
  }
  return layout;
}

// Before any name is changed: what is in diffusers' names is left alone, whatever its names contain.
void Layout::DecideNaming(std::span<const RawTensor> own, const std::string& path) {
  std::string_view canonical, other;  // tensors that say so
  for (const RawTensor& tensor : own) {
    if (part_ == ModelPart::kTransformer) {
      const std::string_view in_block = InBlock(tensor.name);
      if (in_block.starts_with(kQkv)) other = tensor.name;
      if (BeginsWithOneOf(in_block, kSplit)) canonical = tensor.name;
    } else if (part_ == ModelPart::kVae) {
      if (IsLdmModule(InCoder(tensor.name))) other = tensor.name;
      if (IsDiffusersModule(InCoder(tensor.name))) canonical = tensor.name;
      const std::optional<int64_t> level = NumberBehind(tensor.name, kLdmUp);
      if (level) vae_levels_ = std::max(vae_levels_, *level + 1);
    } else {
      if (IsLlamaCppLayer(tensor.name)) other = tensor.name;
      if (TextPrefix(tensor.name)) canonical = tensor.name;
    }
  }
  if (other.empty()) return;
  if (!canonical.empty()) {
    Refuse(path, "has names of two layouts, " + std::string(canonical) + " and " + std::string(other) +
                     "; give a file that has one");
  }
  switch (part_) {
    case ModelPart::kTransformer:
      naming_ = Naming::kFused;
      break;
    case ModelPart::kVae:
      naming_ = Naming::kLdm;
      break;
    case ModelPart::kTextEncoder:
      naming_ = Naming::kLlamaCpp;
  }
}

void Layout::Add(const RawTensor& tensor, size_t raw, const std::string& path) {
  std::string name(tensor.name);
  if (name.ends_with("." + std::string(kOldScale))) name.replace(name.size() - kOldScale.size(), kOldScale.size(), kScale);
  if (naming_ == Naming::kFused && InBlock(name) == "attention.qkv.weight") return AddSplit(tensor, raw, path);
  if (naming_ == Naming::kFused && InBlock(name) == "attention.qkv.weight_scale") return AddSplitScale(tensor, name, raw);
  if (naming_ == Naming::kFused) {
    for (const Renamed& one : FusedNames(name)) Replace(name, one.raw, one.canonical);
  } else if (naming_ == Naming::kLdm && !InCoder(name).empty()) {
    CountTheOtherWay(name, kLdmUp, kUpBlocks, vae_levels_);
    for (const Renamed& one : kLdmNames) Replace(name, one.raw, one.canonical);
  } else if (naming_ == Naming::kLlamaCpp) {
    name = OtherTextName(name, &Renamed::raw, &Renamed::canonical);
  }
  CanonicalTensor whole = Whole(tensor, raw, std::move(name));
  whole.shape = CanonicalShape(part_, whole.name, tensor.shape);
  if (whole.name != tensor.name || whole.shape.size() != tensor.shape.size()) is_plain_ = false;
  tensors_.push_back(std::move(whole));
}

// q, k and v, one under the other.
void Layout::AddSplit(const RawTensor& fused, size_t raw, const std::string& path) {
  const std::span<const int64_t> shape = fused.shape;
  if (shape.size() != 2 || shape[0] % 3 != 0 || shape[0] / 3 != shape[1]) {
    Refuse(path, prefix_ + std::string(fused.name) + ": expected shape [3 n, n], which q, k and v share, found " +
                     ShapeText(shape));
  }
  const std::string front(fused.name.substr(0, fused.name.size() - kQkv.size() - kWeight.size()));
  int64_t first_row = 0;
  for (const std::string_view one : kSplit) {
    tensors_.push_back({.name = front + std::string(one) + std::string(kWeight),
                        .raw = raw,
                        .shape = {shape[1], shape[1]},
                        .is_slice = true,
                        .first_row = first_row,
                        .rows = shape[1]});
    first_row += shape[1];
  }
  is_plain_ = false;
}

// Of q, k and v: the same, or rows of it.
void Layout::AddSplitScale(const RawTensor& fused, std::string_view name, size_t raw) {
  const std::span<const int64_t> shape = fused.shape;
  const std::string front(name.substr(0, name.size() - kQkv.size() - kScale.size()));
  const bool of_rows = !shape.empty() && shape[0] > 1 && shape[0] % 3 == 0;
  for (int64_t i = 0; i < 3; ++i) {
    CanonicalTensor one = {.name = front + std::string(kSplit[i]) + std::string(kScale),
                           .raw = raw,
                           .shape = {shape.begin(), shape.end()}};
    if (of_rows) {
      one.is_slice = true;
      one.rows = one.shape[0] = shape[0] / 3;
      one.first_row = i * one.rows;
    }
    tensors_.push_back(std::move(one));
  }
  is_plain_ = false;
}

std::string Layout::RawName(std::string_view canonical) const {
  std::string name(canonical);
  if (naming_ == Naming::kFused && BeginsWithOneOf(InBlock(name), kSplit)) {
    for (const std::string_view one : kSplit) Replace(name, one, kQkv);
  } else if (naming_ == Naming::kFused) {
    for (const Renamed& one : FusedNames(name)) Replace(name, one.canonical, one.raw);
  } else if (naming_ == Naming::kLdm && !InCoder(name).empty()) {
    CountTheOtherWay(name, kUpBlocks, kLdmUp, vae_levels_);
    for (const Renamed& one : kLdmNames) Replace(name, one.canonical, one.raw);
  } else if (naming_ == Naming::kLlamaCpp) {
    name = OtherTextName(name, &Renamed::canonical, &Renamed::raw);
  }
  return prefix_ + name;
}

std::string Layout::Description() const {
  std::string text;
  if (naming_ == Naming::kFused) text = "original names (attention.qkv)";
  if (naming_ == Naming::kLdm) text = "LDM names";
  if (naming_ == Naming::kLlamaCpp) text = "llama.cpp's names";
  if (!prefix_.empty()) text += (text.empty() ? "prefix " : ", prefix ") + prefix_;
  return text;
}

}  // namespace diptych
