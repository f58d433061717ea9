#include "common/json/json_place.h"

#include <limits>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"

namespace diptych {

using nlohmann::json;

JsonPlace::JsonPlace(const json& value, std::string file, std::string path)
    : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

std::string JsonPlace::name() const { return path_.empty() ? file_ : file_ + ": " + path_; }

void JsonPlace::Refuse(const std::string& reason) const {
  throw Error(ErrorCode::kInvalidArgument, name() + " " + reason);
}

void JsonPlace::ExpectType(bool matches, const char* type) const {
  if (!matches) Refuse(std::string("is ") + value_->type_name() + ", expected " + type);
}

JsonPlace JsonPlace::At(const std::string& key) const {
  ExpectType(value_->is_object(), "an object");
  const auto found = value_->find(key);
  JsonPlace member(found == value_->end() ? *value_ : *found, file_, path_.empty() ? key : path_ + "." + key);
  if (found == value_->end()) member.Refuse("is missing");
  return member;
}

JsonPlace JsonPlace::Required(const std::string& key) const {
  const JsonPlace member = At(key);
  if (member.value_->is_null()) member.Refuse("is missing");
  return member;
}

std::optional<JsonPlace> JsonPlace::Find(const std::string& key) const {
  ExpectType(value_->is_object(), "an object");
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return At(key);
}

void JsonPlace::ForEachMember(const std::function<void(const std::string&, const JsonPlace&)>& visit) const {
  ExpectType(value_->is_object(), "an object");
  for (const auto& [key, member] : value_->items()) {
    visit(key, JsonPlace(member, file_, path_ + "[" + JsonExcerpt(key) + "]"));
  }
}

size_t JsonPlace::Size() const {
  ExpectType(value_->is_array(), "an array");
  return value_->size();
}

JsonPlace JsonPlace::At(size_t index) const {
  ExpectType(value_->is_array(), "an array");
  return JsonPlace(value_->at(index), file_, path_ + "[" + std::to_string(index) + "]");
}

std::string JsonPlace::String() const {
  ExpectType(value_->is_string(), "a string");
  return value_->get<std::string>();
}

bool JsonPlace::Bool() const {
  ExpectType(value_->is_boolean(), "true or false");
  return value_->get<bool>();
}

int64_t JsonPlace::Integer() const {
  ExpectType(value_->is_number_integer(), "a whole number");
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > std::numeric_limits<int64_t>::max()) {
    Refuse("is too large");
  }
  return value_->get<int64_t>();
}

}  // namespace diptych
