#include "common/json/json_fields.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr size_t kShownNameBytes = 200;

std::string NumberText(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

}  // namespace

JsonFields::JsonFields(const nlohmann::json& object, std::string what, std::string name, Null null)
    : object_(object), what_(std::move(what)), name_(std::move(name)), null_(null) {
  if (!object_.is_object()) Refuse((name_.empty() ? "it" : "\"" + name_ + "\"") + " must be an object");
}

const nlohmann::json* JsonFields::Find(std::string_view field) {
  asked_.emplace(field);
  const auto found = object_.find(field);
  if (found == object_.end() || (null_ == Null::kIsMissing && found->is_null())) return nullptr;
  return &*found;
}

std::string JsonFields::Text(std::string_view field) {
  const nlohmann::json& value = Required(field);
  if (!value.is_string()) Wrong(field, "a text");
  return value.get<std::string>();
}

bool JsonFields::Flag(std::string_view field) {
  const nlohmann::json& value = Required(field);
  if (!value.is_boolean()) Wrong(field, "true or false");
  return value.get<bool>();
}

double JsonFields::Number(std::string_view field, double least, double most) {
  const nlohmann::json& value = Required(field);
  std::string range = "a number";
  if (most < std::numeric_limits<double>::max()) range += " from " + NumberText(least) + " to " + NumberText(most);
  if (!value.is_number()) Wrong(field, range);
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < least || number > most) Wrong(field, range);
  return number;
}

int64_t JsonFields::Whole(std::string_view field, int64_t least, int64_t most) {
  const nlohmann::json& value = Required(field);
  const std::string range = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (!value.is_number_integer()) Wrong(field, range);
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    Wrong(field, range);
  const auto number = value.get<int64_t>();
  if (number < least || number > most) Wrong(field, range);
  return number;
}

uint64_t JsonFields::Unsigned(std::string_view field, uint64_t least, uint64_t most) {
  const nlohmann::json& value = Required(field);
  const std::string range = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (!value.is_number_unsigned()) Wrong(field, range);
  const auto number = value.get<uint64_t>();
  if (number < least || number > most) Wrong(field, range);
  return number;
}

std::string JsonFields::OneOf(std::string_view field, const std::vector<std::string>& choices) {
  const std::string text = Text(field);
  if (std::find(choices.begin(), choices.end(), text) != choices.end()) return text;
  std::string list;
  for (const std::string& choice : choices) list += (list.empty() ? "" : ", ") + choice;
  Wrong(field, "one of " + list);
}

std::string JsonFields::Hash(std::string_view field) {
  const std::string text = Text(field);
  if (text.size() != 64 || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    Wrong(field, "64 lower-case hexadecimal digits");
  }
  return text;
}

JsonFields JsonFields::Object(std::string_view field) {
  const nlohmann::json& value = Required(field);
  return JsonFields(value, what_, name_.empty() ? std::string(field) : name_ + "." + std::string(field), null_);
}

void JsonFields::RefuseUnknown() const {
  for (const auto& [field, value] : object_.items()) {
    if (!asked_.contains(field)) Refuse("unknown field " + Quoted(std::string_view(field).substr(0, kShownNameBytes)));
  }
}

void JsonFields::Refuse(const std::string& message) const {
  throw Error(ErrorCode::kInvalidArgument, what_.empty() ? message : what_ + ": " + message);
}

std::string JsonFields::Quoted(std::string_view field) const {
  return "\"" + name_ + (name_.empty() ? "" : ".") + std::string(field) + "\"";
}

const nlohmann::json& JsonFields::Required(std::string_view field) {
  const nlohmann::json* value = Find(field);
  if (value == nullptr) Refuse("field " + Quoted(field) + " is missing");
  return *value;
}

void JsonFields::RefuseField(std::string_view field, const std::string& why) const {
  Refuse(Quoted(field) + " " + why);
}

void JsonFields::Wrong(std::string_view field, const std::string& right) const {
  RefuseField(field, "must be " + right);
}

}  // namespace diptych
