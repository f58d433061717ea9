#include "common/model_config/model_index.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>

#include "common/error/error.h"
#include "common/model_config/json_facts.h"
#include "common/model_config/schedule.h"
#include "common/source_files/read_file.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kParts[] = {"text_encoder", "tokenizer", "transformer", "vae"};

bool IsNameOfBase(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name == "z-image" || name == "z-image-base" || name == "models--tongyi-mai--z-image" ||
         name.ends_with("/z-image") || name.find("models--tongyi-mai--z-image/") != std::string::npos;
}

bool IsNameOfTurbo(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name.find("z-image-turbo") != std::string::npos || name.find("z_image_turbo") != std::string::npos;
}

// What the model may be called: what it says of itself, its folder, and in the cache of the hub, where the snapshot's
// own name is a hash, the folder of the model.
std::vector<std::string> NamesOf(const fs::path& folder, const std::string& name_or_path) {
  std::vector<std::string> names = {name_or_path};
  std::error_code error;
  const fs::path full = fs::canonical(folder, error);
  if (error) return names;
  names.push_back(full.filename().string());
  for (const fs::path& part : full) {
    if (part.string().starts_with("models--")) names.push_back(part.string());
  }
  return names;
}

// The published files of both differ in nothing but the weights and this number (Turbo: 3).
bool HasShiftOfBase(const fs::path& folder) {
  constexpr double kShiftOfBase = 6;
  try {
    const ScheduleFacts schedule = ReadSchedule((folder / "scheduler").string());
    return schedule.shift == kShiftOfBase && !schedule.dynamic;
  } catch (const Error&) {  // whoever needs the schedule says what is wrong with it
    return false;
  }
}

// Z-Image that is not distilled: by its name, or where that says nothing by its schedule, with a line that says so.
bool IsBase(const fs::path& folder, const std::string& name_or_path, std::vector<std::string>& warnings) {
  const std::vector<std::string> names = NamesOf(folder, name_or_path);
  if (std::any_of(names.begin(), names.end(), IsNameOfBase)) return true;
  if (std::any_of(names.begin(), names.end(), IsNameOfTurbo) || !HasShiftOfBase(folder)) return false;
  warnings.push_back((folder / "scheduler" / "scheduler_config.json").string() +
                     ": \"shift\" is 6, as of Z-Image, which is not distilled: " + std::to_string(kBaseSteps) +
                     " steps and guidance scale 4 unless a job states its own; model_index.json may say otherwise "
                     "(\"diptych\")");
  return true;
}

int32_t Side(const JsonFacts& json, const std::string& key, int32_t fallback) {
  const int64_t side = json.Positive(key, fallback);
  if (side > 16384) json.Refuse(key, "must be at most 16384");
  return static_cast<int32_t>(side);
}

// What stands under "diptych"; `defaults` are those without it.
ModelDefaults ReadDefaults(const JsonFacts& json, ModelDefaults defaults, std::vector<std::string>& warnings) {
  defaults.width = Side(json, "width", defaults.width);
  defaults.height = Side(json, "height", defaults.height);
  const int64_t steps = json.Positive("steps", defaults.steps);
  if (steps > 1000) json.Refuse("steps", "must be at most 1000");
  defaults.steps = static_cast<int32_t>(steps);
  defaults.guidance_scale = json.Number("guidance_scale", defaults.guidance_scale);
  if (!(defaults.guidance_scale >= 0 && defaults.guidance_scale <= 1000)) {
    json.Refuse("guidance_scale", "must be a number from 0 to 1000");
  }
  if (json.Has("words")) defaults.words = json.TextList("words");
  defaults.words_described_in = json.Text("words_described_in", "");
  // Every client gets them with Describe.
  constexpr size_t kMostWords = 10'000, kMostWordBytes = 200'000;
  size_t bytes = defaults.words_described_in.size();
  for (const std::string& word : defaults.words) bytes += word.size();
  if (defaults.words.size() > kMostWords || bytes > kMostWordBytes) {
    json.Refuse("words", "must be at most 10000 words of 200 kB together");
  }
  if (std::string line = json.UnknownKeysWarning({}); !line.empty()) warnings.push_back(std::move(line));
  return defaults;
}

// The scheduler's class counts more than what its own file says: diffusers loads this one with that file. Other parts
// are what their own files say.
void CheckScheduler(const JsonFacts& json) {
  if (!json.Has("scheduler")) return;
  const std::vector<std::string> scheduler = json.TextList("scheduler");
  constexpr const char* kClass = "FlowMatchEulerDiscreteScheduler";
  if (scheduler.size() == 2 && scheduler[1] == kClass) return;
  json.Refuse("scheduler", "names " + (scheduler.empty() ? "nothing" : "\"" + scheduler.back() + "\"") +
                               ", which takes other steps; only \"" + kClass + "\" is supported");
}

}  // namespace

ModelIndex ReadModelIndex(const std::string& folder) {
  ModelIndex index;
  const fs::path file = fs::path(folder) / "model_index.json";
  std::optional<JsonFacts> json;
  if (!folder.empty() && !IsAbsent(file.string())) json.emplace(ReadTextFile(file.string()), file.string());
  std::vector<std::string> guess;
  if (!folder.empty() && IsBase(folder, json ? json->Text("_name_or_path", "") : "", guess)) {
    index.defaults.steps = kBaseSteps;
    index.defaults.guidance_scale = kBaseGuidanceScale;
  }
  // What the folder says itself is no guess.
  const bool is_stated = json && json->Has("diptych") && json->Object("diptych").Has("steps") &&
                         json->Object("diptych").Has("guidance_scale");
  if (!is_stated) index.warnings = std::move(guess);
  if (!json) return index;
  CheckScheduler(*json);
  if (json->Has("diptych")) {
    index.defaults = ReadDefaults(json->Object("diptych"), index.defaults, index.warnings);
  }
  // Its kin (ZImageImg2ImgPipeline, ...) are made of the same parts.
  if (std::string line = json->OtherClassWarning("ZImagePipeline");
      !line.empty() && json->Text("_class_name").rfind("ZImage", 0) != 0) {
    index.warnings.push_back(std::move(line));
  }
  if (std::string line = json->UnknownKeysWarning(kParts); !line.empty()) index.warnings.push_back(std::move(line));
  return index;
}

}  // namespace diptych
