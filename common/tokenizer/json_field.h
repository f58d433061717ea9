// A value of a JSON file together with its name, so that what is wrong with it can be said. Internal to the tokenizer.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace diptych {

// The text between quotes, ASCII only, cut when it is long: for errors of one line.
std::string Quote(std::string_view text);

// Names for one line: the first twenty, and how many more there are.
class NameList {
 public:
  void Add(const std::string& name) {
    if (++count_ <= kMostNamed) names_ += (names_.empty() ? "" : ", ") + name;
  }
  bool empty() const { return count_ == 0; }
  std::string text() const {
    return count_ <= kMostNamed ? names_ : names_ + " and " + std::to_string(count_ - kMostNamed) + " more";
  }

 private:
  static constexpr size_t kMostNamed = 20;
  size_t count_ = 0;
  std::string names_;
};

// Throws Error(kDataLoss) naming the file and the byte where `text` stops being JSON.
nlohmann::json ParseJson(std::string_view text, const std::string& file);

// All members throw Error(kInvalidArgument) naming file and field when the value is of another type.
class JsonField {
 public:
  // The value must outlive the field.
  JsonField(const nlohmann::json& value, std::string file, std::string path = {});

  const nlohmann::json& value() const { return *value_; }
  std::string name() const;  // "tokenizer.json: model.vocab"
  [[noreturn]] void Refuse(const std::string& reason) const;

  // Members of an object. At throws when it is missing; Find takes null as missing.
  JsonField At(const std::string& key) const;
  std::optional<JsonField> Find(const std::string& key) const;
  void ForEachMember(const std::function<void(const std::string& key, const JsonField& member)>& visit) const;

  // Elements of an array.
  size_t Size() const;
  JsonField At(size_t index) const;

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
