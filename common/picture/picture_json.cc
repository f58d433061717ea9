#include "common/picture/picture_json.h"

#include <algorithm>
#include <string>
#include <vector>

namespace diptych {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson ToValue(const PromptParts& prompt) {
  OrderedJson json;
  ForEachPart(prompt, [&](const char* field, const auto& value) { json[field] = value; });
  return json;
}
OrderedJson ToValue(const InputHash& input) { return input.hex; }
template <typename T>
OrderedJson ToValue(const T& value) {
  if constexpr (std::is_enum_v<T>)
    return ChoiceName(value);
  else
    return value;
}

PromptParts ReadPrompt(JsonFields fields) {
  PromptParts prompt;
  ForEachPart(prompt, [&](const char* field, auto& value) {
    if (!fields.Has(field)) return;
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, bool>)
      value = fields.Flag(field);
    else
      value = fields.Text(field);
  });
  fields.RefuseUnknown();
  return prompt;
}

template <typename Member>
typename Member::Value ReadValue(JsonFields& fields, const Member& member) {
  using T = typename Member::Value;
  if constexpr (std::is_same_v<T, PromptParts>) {
    return ReadPrompt(fields.Object(member.name));
  } else if constexpr (std::is_enum_v<T>) {
    std::vector<std::string> names;
    for (const T choice : ChoicesOf(T{})) names.emplace_back(ChoiceName(choice));
    const std::string name = fields.OneOf(member.name, names);
    return ChoicesOf(T{})[static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin())];
  } else if constexpr (std::is_same_v<T, InputHash>) {
    return {fields.Hash(member.name)};
  } else if constexpr (std::is_same_v<T, bool>) {
    return fields.Flag(member.name);
  } else if constexpr (std::is_floating_point_v<T>) {
    return fields.Number(member.name, member.least, member.most);
  } else if constexpr (std::is_unsigned_v<T>) {
    return fields.Unsigned(member.name, member.least, member.most);
  } else {
    return static_cast<T>(fields.Whole(member.name, member.least, member.most));
  }
}

template <typename Member>
bool IsWritten(const Member& member, const PictureSpec& spec) {
  return (!Member::kOptional && member.schema == 1) || !IsDefault(member, spec);
}

}  // namespace

void PutMembers(const PictureSpec& spec, OrderedJson& json) {
  ForEachMember([&](const auto& member) {
    if (!IsWritten(member, spec)) return;
    const auto& field = spec.*member.field;
    if constexpr (std::decay_t<decltype(member)>::kOptional)
      json[member.name] = ToValue(*field);
    else
      json[member.name] = ToValue(field);
  });
}

int SchemaOf(const PictureSpec& spec) {
  int schema = 1;
  ForEachMember([&](const auto& member) {
    if (IsWritten(member, spec)) schema = std::max(schema, member.schema);
  });
  return schema;
}

void TakeMembers(JsonFields& fields, int schema, PictureSpec& spec, std::initializer_list<std::string_view> left_out) {
  ForEachMember([&](const auto& member) {
    if (member.schema > schema) return;
    const bool optional = std::decay_t<decltype(member)>::kOptional || member.schema > 1 ||
                          std::find(left_out.begin(), left_out.end(), member.name) != left_out.end();
    if (optional && !fields.Has(member.name)) return;
    spec.*member.field = ReadValue(fields, member);
  });
}

}  // namespace diptych
