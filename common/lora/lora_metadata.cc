#include "common/lora/lora_metadata.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "common/error/error.h"
#include "common/foreign_text/foreign_text.h"
#include "common/json/bounded_json.h"

namespace diptych {
namespace {

using nlohmann::json;

constexpr size_t kMostWords = 32;
constexpr JsonBounds kBounds{.bytes = size_t{8} << 20, .depth = 8, .values = 200'000};

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

void AddWord(std::string_view word, std::vector<std::string>& words) {
  word = Trimmed(word);
  if (word.empty() || word.size() > kForeignBytes || words.size() >= kMostWords) return;
  if (std::find(words.begin(), words.end(), word) == words.end()) words.emplace_back(word);
}

// A list in JSON, or words between commas.
void AddWords(const std::string& text, std::vector<std::string>& words) {
  if (Trimmed(text).starts_with('[')) {
    if (const json list = JsonOrDiscarded(text, kBounds); list.is_array()) {
      for (const json& word : list) {
        if (word.is_string()) AddWord(word.get_ref<const std::string&>(), words);
      }
      return;
    }
  }
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    AddWord(std::string_view(text).substr(begin, end - begin), words);
    begin = end + 1;
  }
}

// {data set: {tag: captions}}: those that stand in the most captions, unless one caption is all that there is of each.
void AddCommonTags(const json& frequencies, std::vector<std::string>& words) {
  if (!frequencies.is_object()) return;
  for (const auto& set : frequencies) {
    if (!set.is_object()) continue;
    double most = 0;
    for (const auto& count : set) {
      if (count.is_number()) most = std::max(most, count.get<double>());
    }
    if (most < 1 || (most < 2 && set.size() > 1)) continue;
    for (const auto& [tag, count] : set.items()) {
      if (count.is_number() && count.get<double>() == most) AddWord(tag, words);
    }
  }
}

const std::string* Find(const LoraMetadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() || Trimmed(found->second).empty() ? nullptr : &found->second;
}

[[noreturn]] void Refuse(const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, "its metadata lora_adapter_metadata " + why);
}

double Alpha(const json& value, const std::string& name) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    Refuse("has " + JsonExcerpt(value) + " as " + ForeignText(name) + ", expected a number");
  }
  return value.get<double>();
}

}  // namespace

std::vector<std::string> TriggerWords(const LoraMetadata& metadata) {
  std::vector<std::string> words;
  for (const char* key : {"modelspec.trigger_phrase", "trigger_phrase", "trigger_words", "trigger_word",
                          "ss_trigger_words", "activation text"}) {
    if (const std::string* text = Find(metadata, key)) AddWords(*text, words);
  }
  if (!words.empty()) return words;
  if (const std::string* text = Find(metadata, "ss_tag_frequency"))
    AddCommonTags(JsonOrDiscarded(*text, kBounds), words);
  return words;
}

std::string BaseModel(const LoraMetadata& metadata) {
  for (const char* key : {"ss_base_model_version", "modelspec.architecture", "base_model", "ss_sd_model_name"}) {
    if (const std::string* text = Find(metadata, key)) return CutMessage(Trimmed(*text), kForeignBytes);
  }
  return "";
}

PeftSettings::PeftSettings(const LoraMetadata& metadata) {
  const std::string* text = Find(metadata, "lora_adapter_metadata");
  if (text == nullptr) return;
  json settings;
  try {
    settings = ParseBoundedJson(*text, kBounds);
  } catch (const JsonError& error) {
    Refuse(std::string("is ") + error.what());
  }
  if (!settings.is_object()) Refuse("is no JSON object");
  // A pipeline's file has them by component, a single model's file has its own alone.
  const auto find = [&](const std::string& name) -> const json* {
    for (const std::string& key : {"transformer." + name, name}) {
      if (const auto found = settings.find(key); found != settings.end() && !found->is_null()) return &*found;
    }
    return nullptr;
  };
  if (const json* alpha = find("lora_alpha")) alpha_ = Alpha(*alpha, "lora_alpha");
  if (const json* by_root = find("use_rslora")) {
    if (!by_root->is_boolean()) Refuse("has " + JsonExcerpt(*by_root) + " as use_rslora, expected true or false");
    by_root_ = by_root->get<bool>();
  }
  if (const json* patterns = find("alpha_pattern")) {
    if (!patterns->is_object()) Refuse("has " + JsonExcerpt(*patterns) + " as alpha_pattern, expected an object");
    for (const auto& [pattern, alpha] : patterns->items()) {
      alpha_of_.emplace(pattern.starts_with('^') ? pattern.substr(1) : pattern, Alpha(alpha, pattern));
    }
  }
}

std::optional<double> PeftSettings::Scale(std::string_view module, int64_t rank) const {
  std::optional<double> alpha = alpha_;
  for (std::string_view end = module;;) {  // the whole name, then what is behind each dot
    if (const auto found = alpha_of_.find(std::string(end)); found != alpha_of_.end()) {
      alpha = found->second;
      break;
    }
    const size_t dot = end.find('.');
    if (dot == end.npos) break;
    end.remove_prefix(dot + 1);
  }
  if (!alpha) return std::nullopt;
  return *alpha / (by_root_ ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

}  // namespace diptych
