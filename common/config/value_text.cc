#include "common/config/value_text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/error/error.h"

namespace diptych {
namespace {

[[noreturn]] void Refuse(const OptionInfo& info, const std::string& found) {
  throw Error(ErrorCode::kInvalidArgument, absl::StrCat(found, " must be ", LegalValues(info)));
}

// Shortest text that reads back as the same number.
std::string NumberText(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "\"";
}

template <typename Number>
Number ParseNumber(const OptionInfo& info, const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) Refuse(info, Quoted(text));
  return value;
}

std::string IntegerRange(const OptionInfo& info) {
  const std::string multiple = info.multiple > 1 ? absl::StrCat(", a multiple of ", info.multiple) : "";
  if (info.most == std::numeric_limits<int64_t>::max())
    return absl::StrCat(" from ", info.least, " to 2^63 - 1", multiple);
  return absl::StrCat(" from ", info.least, " to ", info.most, multiple);
}

void CheckInteger(const OptionInfo& info, int64_t value) {
  if (value < info.least || value > info.most || value % info.multiple != 0) Refuse(info, absl::StrCat(value));
}

void CheckNumber(const OptionInfo& info, double value) {
  if (!(value >= info.least_number && value <= info.most_number)) Refuse(info, NumberText(value));  // refuses NaN too
}

void CheckText(const OptionInfo& info, const std::string& text) {
  if (text.find('\0') != std::string::npos) throw Error(ErrorCode::kInvalidArgument, "a text must not hold a NUL byte");
  if (info.choices.empty()) return;
  const std::vector<std::string> choices = SplitCommas(info.choices);
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) Refuse(info, Quoted(text));
}

// What a switch with choices means by true and false.
std::string ChoiceOf(const OptionInfo& info, const std::string& text) {
  if (info.when_true.empty()) return text;
  if (text == "true") return std::string(info.when_true);
  if (text == "false") return std::string(info.when_false);
  return text;
}

bool ParseBool(const OptionInfo& info, const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  Refuse(info, Quoted(text));
}

}  // namespace

std::string OptionName(const OptionInfo& info) { return std::string(info.key.empty() ? info.flag : info.key); }

std::string LegalValues(const OptionInfo& info) {
  switch (info.type) {
    case OptionType::kBool:
      return "true or false";
    case OptionType::kInteger:
    case OptionType::kOptionalInteger:
      return "a whole number" + IntegerRange(info);
    case OptionType::kNumber:
    case OptionType::kOptionalNumber:
      return absl::StrCat("a number from ", NumberText(info.least_number), " to ", NumberText(info.most_number));
    case OptionType::kText:
      return info.choices.empty() ? "a text" : "one of " + absl::StrJoin(SplitCommas(info.choices), ", ");
    case OptionType::kTextList:
      return "a list of texts";
  }
  return "";
}

OptionValue ParseOption(const OptionInfo& info, const std::vector<std::string>& texts) {
  OptionValue value;
  if (info.type == OptionType::kTextList) {
    value = texts;
  } else if (texts.empty()) {
    if (info.type == OptionType::kOptionalInteger) return std::optional<int64_t>();
    if (info.type == OptionType::kOptionalNumber) return std::optional<double>();
    Refuse(info, "the empty list");
  } else {
    const std::string& text = texts.back();  // of a repeated flag the last one counts
    switch (info.type) {
      case OptionType::kBool:
        value = ParseBool(info, text);
        break;
      case OptionType::kInteger:
        value = ParseNumber<int64_t>(info, text);
        break;
      case OptionType::kOptionalInteger:
        value = std::optional<int64_t>(ParseNumber<int64_t>(info, text));
        break;
      case OptionType::kNumber:
        value = ParseNumber<double>(info, text);
        break;
      case OptionType::kOptionalNumber:
        value = std::optional<double>(ParseNumber<double>(info, text));
        break;
      case OptionType::kText:
        value = ChoiceOf(info, text);
        break;
      case OptionType::kTextList:
        value = text;
        break;
    }
  }
  CheckOption(info, value);
  return value;
}

void CheckOption(const OptionInfo& info, const OptionValue& value) {
  struct Check {
    const OptionInfo& info;
    void operator()(bool) const {}
    void operator()(int64_t number) const { CheckInteger(info, number); }
    void operator()(double number) const { CheckNumber(info, number); }
    void operator()(const std::string& text) const { CheckText(info, text); }
    void operator()(const std::vector<std::string>& texts) const {
      for (const std::string& text : texts) CheckText(info, text);
    }
    void operator()(const std::optional<int64_t>& number) const {
      if (number) CheckInteger(info, *number);
    }
    void operator()(const std::optional<double>& number) const {
      if (number) CheckNumber(info, *number);
    }
  };
  std::visit(Check{info}, value);
}

OptionValue DefaultOf(const OptionInfo& info) {
  const bool may_be_empty = info.type == OptionType::kText;
  if (info.default_text.empty() && !may_be_empty) return ParseOption(info, {});
  return ParseOption(info, {std::string(info.default_text)});
}

std::string TomlText(const OptionValue& value) {
  struct Write {
    std::string operator()(bool on) const { return on ? "true" : "false"; }
    std::string operator()(int64_t number) const { return absl::StrCat(number); }
    std::string operator()(double number) const {
      const std::string text = NumberText(number);
      return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
    }
    std::string operator()(const std::string& text) const { return Quoted(text); }
    std::string operator()(const std::vector<std::string>& texts) const {
      std::vector<std::string> quoted;
      for (const std::string& text : texts) quoted.push_back(Quoted(text));
      return absl::StrCat("[", absl::StrJoin(quoted, ", "), "]");
    }
    std::string operator()(const std::optional<int64_t>& number) const { return number ? (*this)(*number) : ""; }
    std::string operator()(const std::optional<double>& number) const { return number ? (*this)(*number) : ""; }
  };
  return std::visit(Write{}, value);
}

std::vector<std::string> SplitCommas(std::string_view text) {
  if (text.empty()) return {};
  return absl::StrSplit(absl::string_view(text.data(), text.size()), ',');
}

}  // namespace diptych
