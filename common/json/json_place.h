// A value inside of foreign JSON together with its place, so that what is wrong with it can be said: for lists and objects
// in each other. json_fields.h is for one object of known fields.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace diptych {

// All members throw Error(kInvalidArgument) naming file and place when the value is of another type.
class JsonPlace {
 public:
  // The value must outlive the place.
  JsonPlace(const nlohmann::json& value, std::string file, std::string path = {});

  const nlohmann::json& value() const { return *value_; }
  std::string name() const;  // "tokenizer.json: model.vocab"
  [[noreturn]] void Refuse(const std::string& reason) const;

  // Members of an object. At throws when it is missing, Required also when it is null; Find takes null as missing.
  JsonPlace At(const std::string& key) const;
  JsonPlace Required(const std::string& key) const;
  std::optional<JsonPlace> Find(const std::string& key) const;
  void ForEachMember(const std::function<void(const std::string& key, const JsonPlace& member)>& visit) const;

  // Elements of an array.
  size_t Size() const;
  JsonPlace At(size_t index) const;

  std::string String() const;
  bool Bool() const;
  int64_t Integer() const;

 private:
  void ExpectType(bool matches, const char* type) const;

  const nlohmann::json* value_;
  std::string file_;
  std::string path_;  // from the root; empty: the root
};

}  // namespace diptych
