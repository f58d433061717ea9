#include "common/model_config/json_facts.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/source_files/file_kind.h"
#include "common/source_files/model_folder.h"
#include "common/source_files/python_json.h"
#include "common/source_files/read_file.h"

namespace diptych {

struct JsonFacts::Data {
  nlohmann::json object;
  std::string name;

  mutable std::set<std::string> asked;

  // nullptr when missing or null.
  const nlohmann::json* Find(const std::string& key) const {
    asked.insert(key);
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  }
};

JsonFacts::JsonFacts(const std::string& text, const std::string& name) : data_(std::make_unique<Data>()) {
  data_->name = name;
  try {
    data_->object = ParseBoundedJson(text);
  } catch (const JsonError& error) {
    if (error.is_syntax()) data_->object = JsonOrDiscarded(NumbersOfPythonAsNull(text));
    if (data_->object.is_object()) return;
    const std::string kind = FileKind({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, text.size());
    if (!kind.empty()) throw Error(ErrorCode::kInvalidArgument, name + ": this is " + kind);
    throw Error(ErrorCode::kInvalidArgument, name + ": " + error.what());
  }
  if (!data_->object.is_object()) throw Error(ErrorCode::kInvalidArgument, name + ": not a JSON object");
  // diffusers notes here which keys nobody set, and takes its class's default for each of them.
  if (const auto defaults = data_->object.find("_use_default_values"); defaults != data_->object.end()) {
    const nlohmann::json keys = *defaults;
    for (const nlohmann::json& key : keys) {
      if (key.is_string()) data_->object.erase(key.get<std::string>());
    }
    data_->object.erase("_use_default_values");
  }
}

JsonFacts::JsonFacts(std::unique_ptr<Data> data) : data_(std::move(data)) {}
JsonFacts::~JsonFacts() = default;
JsonFacts::JsonFacts(JsonFacts&&) noexcept = default;

void JsonFacts::Refuse(const std::string& key, const std::string& why) const {
  throw Error(ErrorCode::kInvalidArgument, data_->name + ": \"" + key + "\" " + why);
}

const std::string& JsonFacts::name() const { return data_->name; }

bool JsonFacts::Has(const std::string& key) const { return data_->Find(key) != nullptr; }

bool JsonFacts::IsEmpty() const { return data_->object.empty(); }

bool JsonFacts::IsNull(const std::string& key) const {
  data_->asked.insert(key);
  const auto found = data_->object.find(key);
  return found != data_->object.end() && found->is_null();
}

int64_t JsonFacts::Positive(const std::string& key) const {
  const nlohmann::json* value = data_->Find(key);
  if (value == nullptr) Refuse(key, "is missing");
  if (!value->is_number_integer() || *value < 1 || *value > std::numeric_limits<int32_t>::max()) {
    Refuse(key, "must be a whole number from 1 to 2147483647, found " + JsonExcerpt(*value));
  }
  return value->get<int64_t>();
}

int64_t JsonFacts::Positive(const std::string& key, int64_t fallback) const {
  return Has(key) ? Positive(key) : fallback;
}

double JsonFacts::Number(const std::string& key) const {
  const nlohmann::json* value = data_->Find(key);
  if (value == nullptr) Refuse(key, "is missing");
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    Refuse(key, "must be a number, found " + JsonExcerpt(*value));
  }
  return value->get<double>();
}

double JsonFacts::Number(const std::string& key, double fallback) const { return Has(key) ? Number(key) : fallback; }

bool JsonFacts::Bool(const std::string& key, bool fallback) const {
  const nlohmann::json* value = data_->Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) Refuse(key, "must be true or false, found " + JsonExcerpt(*value));
  return value->get<bool>();
}

std::string JsonFacts::Text(const std::string& key) const {
  const nlohmann::json* value = data_->Find(key);
  if (value == nullptr) Refuse(key, "is missing");
  if (!value->is_string()) Refuse(key, "must be a string, found " + JsonExcerpt(*value));
  return value->get<std::string>();
}

std::string JsonFacts::Text(const std::string& key, const std::string& fallback) const {
  return Has(key) ? Text(key) : fallback;
}

std::vector<int64_t> JsonFacts::PositiveList(const std::string& key, std::vector<int64_t> fallback) const {
  return Has(key) ? PositiveList(key) : fallback;
}

std::vector<std::string> JsonFacts::TextList(const std::string& key) const {
  const nlohmann::json* value = data_->Find(key);
  if (value == nullptr) Refuse(key, "is missing");
  std::vector<std::string> list;
  const bool is_list = value->is_array() && std::all_of(value->begin(), value->end(),
                                                        [](const nlohmann::json& item) { return item.is_string(); });
  if (!is_list) Refuse(key, "must be a list of strings, found " + JsonExcerpt(*value));
  for (const nlohmann::json& item : *value) list.push_back(item.get<std::string>());
  return list;
}

std::vector<int64_t> JsonFacts::PositiveList(const std::string& key) const {
  const nlohmann::json* value = data_->Find(key);
  if (value == nullptr) Refuse(key, "is missing");
  if (!value->is_array() || value->empty())
    Refuse(key, "must be a list of whole numbers, found " + JsonExcerpt(*value));
  std::vector<int64_t> list;
  for (const nlohmann::json& item : *value) {
    if (!item.is_number_integer() || item < 1 || item > std::numeric_limits<int32_t>::max()) {
      Refuse(key, "must hold whole numbers of at least 1, found " + JsonExcerpt(item));
    }
    list.push_back(item.get<int64_t>());
  }
  return list;
}

JsonFacts JsonFacts::Object(const std::string& key) const {
  const nlohmann::json* value = data_->Find(key);
  if (value == nullptr) Refuse(key, "is missing");
  if (!value->is_object()) Refuse(key, "must be an object, found " + JsonExcerpt(*value));
  auto inner = std::make_unique<Data>();
  inner->object = *value;
  inner->name = data_->name + ": \"" + key + "\"";
  return JsonFacts(std::move(inner));
}

void JsonFacts::Require(const std::string& key, const std::string& value) const {
  if (Text(key) != value) Refuse(key, "is " + JsonExcerpt(Text(key)) + "; only \"" + value + "\" is supported");
}

void JsonFacts::RequireIfPresent(const std::string& key, const std::string& value) const {
  if (Has(key)) Require(key, value);
}

void JsonFacts::RequireIfPresent(const std::string& key, bool value) const {
  if (Bool(key, value) != value) {
    Refuse(key,
           std::string("is ") + (value ? "false" : "true") + "; only " + (value ? "true" : "false") + " is supported");
  }
}

std::string JsonFacts::UnknownKeysWarning(std::span<const std::string_view> harmless) const {
  constexpr size_t kMostNamed = 20;
  std::string keys;
  size_t unknown = 0;
  for (const auto& [key, value] : data_->object.items()) {
    const bool known =
        data_->asked.contains(key) || value.is_null() ||
        std::find(harmless.begin(), harmless.end(), key) != harmless.end() ||
        std::find(std::begin(kBookkeepingKeys), std::end(kBookkeepingKeys), key) != std::end(kBookkeepingKeys);
    if (!known && ++unknown <= kMostNamed) keys += (keys.empty() ? "" : ", ") + JsonExcerpt(key);
  }
  if (unknown > kMostNamed) keys += " and " + std::to_string(unknown - kMostNamed) + " more";
  return keys.empty() ? "" : data_->name + ": not known here and without effect: " + keys;
}

std::string JsonFacts::OtherClassWarning(const std::string& read_as) const {
  const std::string stated = Text("_class_name", read_as);
  if (stated == read_as) return "";
  return data_->name + ": \"_class_name\" is " + JsonExcerpt(stated) + "; it is read as a " + read_as;
}

namespace {

// A folder of loose files has one config.json at most; which of them it is of, it says itself.
bool IsOfAnotherPart(const std::string& config, ModelPart part) {
  const nlohmann::json json = JsonOrDiscarded(ReadTextFile(config));
  if (!json.is_object()) return false;  // whoever reads it says what is wrong with it
  const bool is_text_model = json.contains("model_type") || json.contains("architectures");
  const auto found = json.find("_class_name");
  const std::string name = found != json.end() && found->is_string() ? found->get<std::string>() : "";
  if (part == ModelPart::kTextEncoder) return !is_text_model && !name.empty();
  const bool is_vae = name.starts_with("Autoencoder");
  return is_text_model || (!name.empty() && is_vae != (part == ModelPart::kVae));
}

}  // namespace

std::string ConfigFileOf(const std::string& path, ModelPart part, const std::string& model_path) {
  namespace fs = std::filesystem;
  if (const std::string problem = PartProblem(path); !problem.empty()) throw Error(ErrorCode::kNotFound, problem);
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return (fs::path(path) / "config.json").string();
  const std::string beside = (fs::path(path).parent_path() / "config.json").string();
  if (!IsAbsent(beside) && !IsOfAnotherPart(beside, part)) return beside;
  if (model_path.empty()) return "";
  const std::string of_model = (fs::path(model_path) / PartFolder(part) / "config.json").string();
  return IsAbsent(of_model) ? "" : of_model;
}

std::string ReadTextFile(const std::string& path) {
  constexpr int64_t kMost = JsonBounds{}.bytes;  // published ones have some KiB
  return ReadWholeFile(path, kMost);
}

}  // namespace diptych
