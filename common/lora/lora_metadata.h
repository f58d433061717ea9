// What the metadata of a LoRA file says, as trainers and programs write it into the header.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace diptych {

using LoraMetadata = std::map<std::string, std::string>;  // SafetensorsFile::metadata()

// Words that the LoRA was trained to answer to, in the file's order, at most 32 and each at most 200 bytes: what the
// file names as such; else the tags that all captions of one of its data sets have. Foreign text.
std::vector<std::string> TriggerWords(const LoraMetadata& metadata);

// The model that it was trained on, in the words of the trainer, at most 200 bytes; may be empty. Foreign text.
std::string BaseModel(const LoraMetadata& metadata);

// PEFT's settings, which diffusers writes into the header, for files without alpha.
class PeftSettings {
 public:
  // Throws Error(kInvalidArgument), without the file's name, for such settings that cannot be read.
  explicit PeftSettings(const LoraMetadata& metadata);

  // Of one module's addition of this rank, 1 or more: alpha / rank, or alpha / sqrt(rank) with use_rslora; nullopt:
  // they do not say.
  std::optional<double> Scale(std::string_view module, int64_t rank) const;

 private:
  std::optional<double> alpha_;
  std::map<std::string, double> alpha_of_;  // by module, or by the end of its name
  bool by_root_ = false;
};

}  // namespace diptych
