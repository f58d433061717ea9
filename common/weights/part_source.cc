#include "common/weights/part_source.h"

#include <filesystem>

#include "common/model_config/json_facts.h"

namespace diptych {

PartSource OpenPart(const std::string& path, ModelPart part, const std::string& model_path) {
  PartSource source;
  source.config_file = ConfigFileOf(path, part, model_path);
  if (!source.config_file.empty()) source.config_text = ReadTextFile(source.config_file);
  source.weights = Checkpoint::Open(path, part);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return source;
  source.notes.push_back("configuration of " + path + " taken from " +
                         (source.config_file.empty() ? "its shapes" : source.config_file));
  if (const std::string layout = source.weights->LayoutText(); !layout.empty())
    source.notes.push_back(path + " has " + layout);
  return source;
}

}  // namespace diptych
