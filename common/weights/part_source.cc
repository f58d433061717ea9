#include "common/weights/part_source.h"

#include <filesystem>

#include "common/model_config/json_facts.h"

namespace diptych {
namespace {

// Of a text model under the name of its architecture, as llama.cpp's conversion writes it.
const GgufFile* StatesConfig(const Checkpoint& weights, ModelPart part) {
  constexpr std::string_view kKeys = "qwen3.";
  const GgufFile* const file = part == ModelPart::kTextEncoder ? weights.gguf() : nullptr;
  if (file == nullptr) return nullptr;
  const auto first = file->metadata().lower_bound(kKeys);
  return first != file->metadata().end() && first->first.starts_with(kKeys) ? file : nullptr;
}

}  // namespace

PartSource OpenPart(const std::string& path, ModelPart part, const std::string& model_path) {
  PartSource source;
  source.config_file = ConfigFileOf(path, part, model_path);
  if (!source.config_file.empty()) source.config_text = ReadTextFile(source.config_file);
  source.weights = Checkpoint::Open(path, part);
  source.metadata = StatesConfig(*source.weights, part);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return source;
  source.notes.push_back("configuration of " + path + " taken from " + source.ConfigOrigin());
  if (const std::string layout = source.weights->LayoutText(); !layout.empty())
    source.notes.push_back(path + " has " + layout);
  return source;
}

}  // namespace diptych
