#include "common/tokenizer/json_field.h"

#include <limits>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/source_files/file_kind.h"

namespace diptych {

using nlohmann::json;

std::string Quote(std::string_view text) {
  constexpr size_t kLongest = 200;
  std::string quoted =
      json(std::string(text.substr(0, kLongest + 1))).dump(-1, ' ', true, json::error_handler_t::replace);
  if (quoted.size() > kLongest) quoted = quoted.substr(0, kLongest) + "...\"";
  return quoted;
}

json ParseJson(std::string_view text, const std::string& file) {
  try {
    return ParseBoundedJson(text, kTokenizerJson);
  } catch (const JsonError& error) {
    const std::string kind = FileKind({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, text.size());
    if (!kind.empty()) throw Error(ErrorCode::kDataLoss, file + ": this is " + kind);
    throw Error(ErrorCode::kDataLoss, file + ": " + error.what());
  }
}

JsonField::JsonField(const json& value, std::string file, std::string path)
    : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

std::string JsonField::name() const { return path_.empty() ? file_ : file_ + ": " + path_; }

void JsonField::Refuse(const std::string& reason) const {
  throw Error(ErrorCode::kInvalidArgument, name() + " " + reason);
}

void JsonField::ExpectType(bool matches, const char* type) const {
  if (!matches) Refuse(std::string("is ") + value_->type_name() + ", expected " + type);
}

JsonField JsonField::At(const std::string& key) const {
  ExpectType(value_->is_object(), "an object");
  const auto found = value_->find(key);
  JsonField member(found == value_->end() ? *value_ : *found, file_, path_.empty() ? key : path_ + "." + key);
  if (found == value_->end()) member.Refuse("is missing");
  return member;
}

std::optional<JsonField> JsonField::Find(const std::string& key) const {
  ExpectType(value_->is_object(), "an object");
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return At(key);
}

void JsonField::ForEachMember(const std::function<void(const std::string&, const JsonField&)>& visit) const {
  ExpectType(value_->is_object(), "an object");
  for (const auto& [key, member] : value_->items()) {
    visit(key, JsonField(member, file_, path_ + "[" + Quote(key) + "]"));
  }
}

size_t JsonField::Size() const {
  ExpectType(value_->is_array(), "an array");
  return value_->size();
}

JsonField JsonField::At(size_t index) const {
  ExpectType(value_->is_array(), "an array");
  return JsonField(value_->at(index), file_, path_ + "[" + std::to_string(index) + "]");
}

std::string JsonField::String() const {
  ExpectType(value_->is_string(), "a string");
  return value_->get<std::string>();
}

bool JsonField::Bool() const {
  ExpectType(value_->is_boolean(), "true or false");
  return value_->get<bool>();
}

int64_t JsonField::Integer() const {
  ExpectType(value_->is_number_integer(), "a whole number");
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > std::numeric_limits<int64_t>::max()) {
    Refuse("is too large");
  }
  return value_->get<int64_t>();
}

}  // namespace diptych
