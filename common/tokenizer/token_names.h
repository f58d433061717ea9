// How the tokenizer's files are parsed, and names of tokens for warnings of one line. Internal to the tokenizer.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/json/json_place.h"

namespace diptych {

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

}  // namespace diptych
