#include "common/inspect/weights_report.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <span>
#include <system_error>
#include <utility>

#include "common/error/error.h"
#include "common/foreign_text/foreign_text.h"
#include "common/lora/lora_keys.h"
#include "common/lora/lora_metadata.h"
#include "common/lora/other_lora.h"
#include "common/model_config/json_facts.h"
#include "common/source_files/model_folder.h"
#include "common/source_files/read_file.h"
#include "common/weights/checkpoint.h"
#include "common/weights/gguf_tokenizer.h"
#include "common/weights/part_source.h"
#include "common/weights/safetensors.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr ModelPart kParts[] = {ModelPart::kTransformer, ModelPart::kVae, ModelPart::kTextEncoder};

bool IsFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool HoldsFiles(const fs::path& folder) {
  std::error_code error, ignored;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!entry->is_directory(ignored)) return true;
  }
  return false;
}

// Throws for a folder without any file what the folder is instead.
std::shared_ptr<const Checkpoint> OpenRaw(const std::string& path) {
  try {
    return Checkpoint::Open(path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound || !IsFolder(path) || HoldsFiles(path)) throw;
    throw Error(error.code(), ModelFolderProblem(path));
  }
}

std::string List(const std::vector<std::string>& items) {  // "a, b and c"
  std::string text;
  for (size_t i = 0; i < items.size(); ++i)
    text += (i == 0 ? "" : i + 1 == items.size() ? " and " : ", ") + items[i];
  return text;
}

// --- blocks ---

// Blocks "layers.0." to "layers.<n-1>."; n by what a configuration may say under `key`.
struct Blocks {
  std::string_view stem;
  const char* key;           // in config.json
  const char* metadata_key;  // in a GGUF file; nullptr: none
};
constexpr Blocks kTransformerBlocks[] = {{"layers.", "n_layers", nullptr},
                                         {"noise_refiner.", "n_refiner_layers", nullptr},
                                         {"context_refiner.", "n_refiner_layers", nullptr}};
constexpr Blocks kTextBlocks[] = {{"layers.", "num_hidden_layers", "qwen3.block_count"}};
constexpr int64_t kMostBlocks = 1000;  // what says more is damaged

// What each of these parts has outside its blocks.
constexpr std::string_view kOfTransformer[] = {"all_x_embedder.2-1.weight",
                                               "all_final_layer.2-1.linear.weight",
                                               "all_final_layer.2-1.adaLN_modulation.1.weight",
                                               "cap_embedder.0.weight",
                                               "cap_embedder.1.weight",
                                               "t_embedder.mlp.0.weight",
                                               "t_embedder.mlp.2.weight",
                                               "x_pad_token",
                                               "cap_pad_token"};
constexpr std::string_view kOfVae[] = {"decoder.conv_in.weight", "decoder.conv_norm_out.weight",
                                       "decoder.conv_out.weight"};
constexpr std::string_view kOfTextEncoder[] = {"embed_tokens.weight", "norm.weight"};

std::span<const Blocks> BlocksOf(ModelPart part) {
  if (part == ModelPart::kTransformer) return kTransformerBlocks;
  if (part == ModelPart::kTextEncoder) return kTextBlocks;
  return {};
}

std::span<const std::string_view> OuterNamesOf(ModelPart part) {
  if (part == ModelPart::kTransformer) return kOfTransformer;
  if (part == ModelPart::kTextEncoder) return kOfTextEncoder;
  return kOfVae;
}

// Of "layers.3.attention.to_q.weight" 3 and "attention.to_q.weight".
struct InBlock {
  int64_t number;
  std::string_view name;
};
std::optional<InBlock> InBlockOf(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return std::nullopt;
  name.remove_prefix(stem.size());
  const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  if (digits == 0 || digits > 3 || digits == name.size() || name[digits] != '.') return std::nullopt;
  return InBlock{std::stoll(std::string(name.substr(0, digits))), name.substr(digits + 1)};
}

// What transformers may write before the names of a text model; empty: it is not there.
std::string_view FrontOf(const Checkpoint& weights, ModelPart part) {
  constexpr std::string_view kModel = "model.";
  if (part != ModelPart::kTextEncoder) return "";
  const auto first = weights.tensors().lower_bound(kModel);
  return first != weights.tensors().end() && first->first.starts_with(kModel) ? kModel : "";
}

std::string_view Behind(std::string_view name, std::string_view front) {
  return name.starts_with(front) ? name.substr(front.size()) : name;
}

// Whether the checkpoint, opened as `part`, has some of it.
bool Holds(const Checkpoint& weights, ModelPart part) {
  const std::string_view front = FrontOf(weights, part);
  return std::any_of(weights.tensors().begin(), weights.tensors().end(), [&](const auto& entry) {
    const std::string_view name = Behind(entry.first, front);
    if (part == ModelPart::kVae) return name == "decoder.conv_in.weight" || name.starts_with("decoder.mid_block.");
    const std::optional<InBlock> inside = InBlockOf(name, "layers.");
    if (part == ModelPart::kTextEncoder) return inside && inside->name.starts_with("self_attn.");
    return (inside && inside->name.starts_with("attention.to_")) || name == "all_x_embedder.2-1.weight";
  });
}

// How many blocks a configuration says there are; 0: none says.
int64_t StatedCount(const Blocks& blocks, const PartSource& source) {
  if (!source.config_file.empty())
    return JsonFacts(source.config_text, source.config_file).Positive(blocks.key, 1);
  if (source.metadata == nullptr || blocks.metadata_key == nullptr) return 0;
  return source.metadata->Integer(blocks.metadata_key).value_or(0);
}

std::vector<std::string> MissingOf(const PartSource& source, ModelPart part) {
  const Checkpoint& weights = *source.weights;
  const std::string front(FrontOf(weights, part));
  std::vector<std::string> missing;
  const auto want = [&](const std::string& name) {
    if (missing.size() < kMostMissing && weights.Find(name) == nullptr) missing.push_back(name + weights.Absent(name));
  };
  for (const std::string_view name : OuterNamesOf(part)) want(front + std::string(name));
  for (const Blocks& blocks : BlocksOf(part)) {
    std::set<std::string_view> in_each;
    int64_t count = std::min(StatedCount(blocks, source), kMostBlocks);
    for (const auto& [name, tensor] : weights.tensors()) {
      const std::optional<InBlock> inside = InBlockOf(Behind(name, front), blocks.stem);
      if (!inside) continue;
      count = std::max(count, inside->number + 1);
      // One matrix may be quantised and the same one of another block not.
      if (!inside->name.ends_with("_scale")) in_each.insert(inside->name);
    }
    if (in_each.empty()) want(front + std::string(blocks.stem) + "0.*");
    for (int64_t i = 0; i < count; ++i) {
      for (const std::string_view name : in_each)
        want(front + std::string(blocks.stem) + std::to_string(i) + "." + std::string(name));
    }
  }
  return missing;
}

// --- what is counted ---

void Count(const TensorEntry& entry, std::vector<FormatCount>& formats) {
  auto found = std::find_if(formats.begin(), formats.end(),
                            [&](const FormatCount& one) { return one.name == entry.dtype_name(); });
  if (found == formats.end()) found = formats.insert(formats.end(), {.name = std::string(entry.dtype_name())});
  ++found->tensors;
  found->bytes += entry.byte_count;
}

void SortByBytes(std::vector<FormatCount>& formats) {
  std::stable_sort(formats.begin(), formats.end(),
                   [](const FormatCount& a, const FormatCount& b) { return a.bytes > b.bytes; });
}

ContainerReport ContainerOf(const Checkpoint& weights) {
  ContainerReport container{.name = weights.gguf() != nullptr ? "GGUF" : "safetensors", .files = weights.files().size()};
  for (const auto& [path, file] : weights.files()) container.bytes += file->mapping()->bytes().size();
  return container;
}

// Of an impossible shape 0.
uint64_t Elements(const TensorEntry& entry) { return ByteCount(entry.shape, Dtype::I8).value_or(0); }

// --- parts ---

std::optional<bool> HasTokenizer(const Checkpoint& weights, ModelPart part) {
  if (part != ModelPart::kTextEncoder || weights.gguf() == nullptr) return std::nullopt;
  try {
    return TokensOf(*weights.gguf()).has_value();
  } catch (const Error&) {
    return false;
  }
}

void DescribeTensors(const Checkpoint& weights, PartReport& report) {
  report.container = ContainerOf(weights);
  report.layout = weights.LayoutText();
  report.tensors = weights.tensors().size();
  for (const auto& [name, tensor] : weights.tensors()) {
    report.parameters += Elements(*tensor.entry);
    report.bytes += tensor.entry->byte_count;
    Count(*tensor.entry, report.formats);
  }
  SortByBytes(report.formats);
  const auto need = [&](Dtype dtype) {
    switch (report.part) {
      case ModelPart::kTextEncoder:
        return NeedOf(weights, dtype, {"lm_head."});
      case ModelPart::kVae:
        return NeedOf(weights, dtype, {"encoder.", "quant_conv."});
      case ModelPart::kTransformer:
        break;
    }
    return NeedOf(weights, dtype);
  };
  report.in_bfloat16 = need(Dtype::BF16);
  report.in_float32 = need(Dtype::F32);
  report.has_tokenizer = HasTokenizer(weights, report.part);
}

PartReport ReportOf(ModelPart part, const std::string& path) {
  PartReport report;
  report.part = part;
  report.path = path;
  return report;
}

// Of a part that the checkpoint holds.
PartReport Describe(const std::string& path, ModelPart part, const Checkpoint& weights) {
  PartReport report = ReportOf(part, path);
  DescribeTensors(weights, report);
  try {
    const PartSource source = OpenPart(path, part, "");
    report.missing = MissingOf(source, part);
    report.configuration = source.ConfigOrigin();
  } catch (const Error& error) {
    report.problem = error.what();
  }
  return report;
}

// Opened as each part: what it holds, or why it is refused.
struct Opened {
  ModelPart part;
  std::shared_ptr<const Checkpoint> weights;  // nullptr: refused, or nothing in it is of the part
  std::string refusal;
};

Opened OpenAs(const std::string& path, ModelPart part) {
  try {
    auto weights = Checkpoint::Open(path, part);
    return {part, Holds(*weights, part) ? std::move(weights) : nullptr, ""};
  } catch (const Error& error) {
    return {part, nullptr, error.what()};
  }
}

// The refusal of the part that a file is nearest to: the one of the transformer, or of the part that it points to.
const Opened& NearestOf(std::span<const Opened> opened) {
  for (const Opened& other : opened.subspan(1)) {
    if (opened[0].refusal.find("give it as " + std::string(OptionOf(other.part))) != std::string::npos) return other;
  }
  return opened[0];
}

// Names of tensors that say that a part is there, whatever is wrong with it.
bool HasNamesOf(ModelPart part, const Checkpoint& raw) {
  const auto any = [&](std::string_view fragment) {
    return std::any_of(raw.tensors().begin(), raw.tensors().end(),
                       [&](const auto& entry) { return entry.first.find(fragment) != std::string::npos; });
  };
  switch (part) {
    case ModelPart::kTransformer:
      return any("noise_refiner.");
    case ModelPart::kVae:
      return any("decoder.conv_in.");
    case ModelPart::kTextEncoder:
      break;
  }
  return any(".self_attn.q_norm.") || any("blk.0.attn_q_norm.");
}

// "FILE: this is Stable Diffusion XL, another model; give ..." in a few words.
std::string InFewWords(const Opened& opened, const std::string& path) {
  std::string_view text = opened.refusal;
  const auto take = [&](std::string_view front) {
    const bool is_there = text.starts_with(front);
    if (is_there) text.remove_prefix(front.size());
    return is_there;
  };
  take(path + ": ");
  const bool is_part = !take("this is ") && text.starts_with("its weights are ");
  const std::string few(text.substr(0, std::min(text.find("; "), text.size())));
  return is_part ? std::string(PartName(opened.part)) + ", " + few : few;
}

void DescribeParts(const Checkpoint& raw, WeightsReport& report) {
  std::vector<Opened> opened;
  for (const ModelPart part : kParts) opened.push_back(OpenAs(report.path, part));
  const bool holds_any =
      std::any_of(opened.begin(), opened.end(), [](const Opened& one) { return one.weights != nullptr; });
  if (!holds_any) {
    const Opened& nearest = NearestOf(opened);
    report.refusal = nearest.refusal;
    report.what = InFewWords(nearest, report.path);
    if (!report.what.empty()) return;
    report.what = raw.tensors().empty() ? "a file without tensors"
                                        : "nothing that is known, with tensors such as " +
                                              ForeignText(raw.tensors().begin()->first);
    return;
  }
  std::vector<std::string> names;
  std::optional<std::vector<std::string>> foreign;
  for (const Opened& one : opened) {
    if (one.weights == nullptr) {
      if (one.refusal.empty() || !HasNamesOf(one.part, raw)) continue;
      report.parts.push_back(ReportOf(one.part, report.path));
      report.parts.back().problem = one.refusal;
      names.push_back(std::string(PartName(one.part)) + " that is not taken");
      continue;
    }
    report.parts.push_back(Describe(report.path, one.part, *one.weights));
    names.emplace_back(PartName(one.part));
    const std::vector<std::string> others = one.weights->Foreign();
    if (!foreign) {
      foreign = others;
    } else {
      std::erase_if(*foreign, [&](const std::string& name) {
        return !std::binary_search(others.begin(), others.end(), name);
      });
    }
  }
  report.foreign = foreign.value_or(std::vector<std::string>());
  report.kind = report.parts.size() == 1 ? WeightsKind::kPart : WeightsKind::kParts;
  report.what = List(names) + (report.parts.size() == 1 ? "" : ", in one");
  const Opened& nearest = NearestOf(opened);
  const bool beside_another = !report.foreign.empty() && nearest.part == kParts[0] && !nearest.refusal.empty();
  if (beside_another) report.what += ", beside " + InFewWords(nearest, report.path);
}

// --- LoRA ---

// Of any checkpoint of Z-Image: names alone count.
const LoraTargets& Targets() {
  static const LoraTargets targets = [] {
    constexpr int kMostLayers = 64;  // published: 30, and two in each refiner
    LoraModules modules;
    for (const char* name : {"all_x_embedder.2-1", "all_final_layer.2-1.linear", "all_final_layer.2-1.adaLN_modulation.1",
                             "cap_embedder.1", "t_embedder.mlp.0", "t_embedder.mlp.2"}) {
      modules[name] = {1, 1};
    }
    for (const char* stem : {"layers.", "noise_refiner.", "context_refiner."}) {
      for (int i = 0; i < kMostLayers; ++i) {
        for (const char* name : {"attention.to_q", "attention.to_k", "attention.to_v", "attention.to_out.0",
                                 "feed_forward.w1", "feed_forward.w2", "feed_forward.w3", "adaLN_modulation.0"}) {
          modules[stem + std::to_string(i) + "." + name] = {1, 1};
        }
      }
    }
    return LoraTargets(modules);
  }();
  return targets;
}

// What is an addition by itself; the others belong to one.
bool IsAddition(LoraRole role) {
  return role != LoraRole::kAlpha && role != LoraRole::kPeftMagnitude && role != LoraRole::kDoraScale;
}

// [r, in]: the rank is the number of its rows.
bool HasRankRows(LoraRole role) {
  return role == LoraRole::kDown || role == LoraRole::kHadaW1B || role == LoraRole::kLokrW1B ||
         role == LoraRole::kLokrW2B;
}

bool IsLora(const Checkpoint& raw) {
  return std::any_of(raw.tensors().begin(), raw.tensors().end(), [](const auto& entry) {
    const std::optional<LoraKey> key = ParseLoraKey(entry.first);
    return key && IsAddition(key->role);
  });
}

void DescribeLora(const Checkpoint& raw, WeightsReport& report) {
  report.kind = WeightsKind::kLora;
  LoraReport lora;
  std::set<std::string> modules;
  std::vector<std::string_view> names;
  for (const auto& [name, tensor] : raw.tensors()) {
    names.push_back(name);
    const std::optional<LoraKey> key = ParseLoraKey(name);
    const LoraTarget* const target = key ? Targets().Find(key->layer).target : nullptr;
    lora.foreign += target == nullptr ? 1 : 0;
    if (target != nullptr && IsAddition(key->role)) {
      for (const LoraRows& rows : target->rows) modules.insert(rows.module);
    }
    if (!key || !HasRankRows(key->role) || tensor.entry->shape.empty()) continue;
    const int64_t rank = tensor.entry->shape[0];
    lora.least_rank = lora.greatest_rank == 0 ? rank : std::min(lora.least_rank, rank);
    lora.greatest_rank = std::max(lora.greatest_rank, rank);
  }
  lora.modules = modules.size();
  const auto* const file = dynamic_cast<const SafetensorsFile*>(raw.files().begin()->second.get());
  if (file != nullptr) {
    lora.trigger_words = TriggerWords(file->metadata());
    lora.base_model = BaseModel(file->metadata());
  }
  report.what = modules.empty() ? SeemsToBe(names) : "LoRA of Z-Image";
  if (report.what.starts_with("a ")) report.what.erase(0, 2);
  report.lora = std::move(lora);
}

// --- a checkpoint ---

void DescribeFolder(WeightsReport& report) {
  report.kind = WeightsKind::kCheckpoint;
  std::vector<std::string> names;
  std::set<std::string> containers;
  for (const ModelPart part : kParts) {
    const fs::path folder = fs::path(report.path) / PartFolder(part);
    if (!IsFolder(folder)) {
      report.lacks.emplace_back(PartFolder(part));
      continue;
    }
    names.emplace_back(PartName(part));
    PartReport one = ReportOf(part, folder.string());
    try {
      const auto raw = Checkpoint::Open(one.path);
      one.container = ContainerOf(*raw);
      report.tensors += raw->tensors().size();
      for (const auto& [name, tensor] : raw->tensors()) Count(*tensor.entry, report.formats);
      report.warnings.insert(report.warnings.end(), raw->warnings().begin(), raw->warnings().end());
    } catch (const Error& error) {
      one.problem = error.what() + FamilyNote(one.path);
      one.is_damaged = true;
      report.parts.push_back(std::move(one));
      continue;
    }
    const Opened opened = OpenAs(one.path, part);
    if (opened.weights != nullptr) {
      one = Describe(one.path, part, *opened.weights);
    } else {
      one.problem = (opened.refusal.empty() ? one.path + ": no " + std::string(PartName(part)) + " is in its files"
                                            : opened.refusal) +
                    FamilyNote(one.path);
    }
    report.container.files += one.container.files;
    report.container.bytes += one.container.bytes;
    containers.insert(one.container.name);
    report.parts.push_back(std::move(one));
  }
  if (containers.size() == 1) report.container.name = *containers.begin();
  SortByBytes(report.formats);
  for (const char* folder : {"tokenizer", "scheduler"}) {
    if (!IsFolder(fs::path(report.path) / folder)) report.lacks.emplace_back(folder);
  }
  report.what = names.empty() ? "checkpoint without weights" : "checkpoint: " + List(names);
}

// --- what there is ---

// With parts; a tokenizer alone is no model.
bool IsCheckpoint(const fs::path& folder) {
  const bool has_parts = std::any_of(std::begin(kParts), std::end(kParts),
                                     [&](ModelPart part) { return IsFolder(folder / PartFolder(part)); });
  return has_parts && ModelFolderProblem(folder.string()).empty();
}

void Collect(const fs::path& folder, int levels, std::vector<std::string>& found) {
  if (IsCheckpoint(folder)) {
    found.push_back(folder.string());
    return;
  }
  std::error_code error, ignored;
  bool has_shards = false;
  constexpr auto kOptions = fs::directory_options::skip_permission_denied;
  for (fs::directory_iterator entry(folder, kOptions, error), end; !error && entry != end; entry.increment(error)) {
    const fs::path path = entry->path();
    if (fs::is_directory(path, ignored)) {
      if (levels > 0) Collect(path, levels - 1, found);
    } else if (IsShardName(path.filename().string())) {
      has_shards = true;
    } else if (path.extension() == ".safetensors" || path.extension() == ".gguf") {
      found.push_back(path.string());
    }
  }
  if (has_shards) found.push_back(folder.string());
}

}  // namespace

WeightsReport InspectWeights(const std::string& path) {
  WeightsReport report;
  report.path = path;
  if (IsFolder(path) && ModelFolderProblem(path).empty()) {
    DescribeFolder(report);
    return report;
  }
  const auto raw = OpenRaw(path);
  report.container = ContainerOf(*raw);
  report.tensors = raw->tensors().size();
  report.warnings = raw->warnings();
  for (const auto& [name, tensor] : raw->tensors()) Count(*tensor.entry, report.formats);
  SortByBytes(report.formats);
  if (IsLora(*raw)) {
    DescribeLora(*raw, report);
  } else {
    DescribeParts(*raw, report);
  }
  return report;
}

std::vector<std::string> WeightsBelow(const std::string& folder) {
  if (IsAbsent(folder)) throw Error(ErrorCode::kNotFound, OpenProblem(folder, ENOENT));
  if (!IsFolder(folder)) throw Error(ErrorCode::kInvalidArgument, folder + ": a file, expected a folder of models");
  std::vector<std::string> found;
  Collect(folder, 2, found);
  if (found.empty()) {
    throw Error(ErrorCode::kNotFound,
                folder + ": no *.safetensors, no *.gguf and no checkpoint in this folder and two levels below it");
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string_view OptionOf(ModelPart part) {
  switch (part) {
    case ModelPart::kTransformer:
      return "--transformer-path";
    case ModelPart::kVae:
      return "--vae-path";
    case ModelPart::kTextEncoder:
      break;
  }
  return "--text-encoder-path";
}

}  // namespace diptych
