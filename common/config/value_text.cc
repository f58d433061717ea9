#include "common/config/value_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/config/home_path.h"
#include "common/config/options.h"
#include "common/error/error.h"

namespace diptych {
namespace {

[[noreturn]] void Refuse(const OptionInfo& info, const std::string& found, const std::string& hint = "") {
  const std::string instead = info.instead.empty() ? "" : absl::StrCat("; ", std::string(info.instead));
  throw Error(ErrorCode::kInvalidArgument, absl::StrCat(found, " must be ", LegalValues(info), hint, instead));
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

std::string_view WithoutBlanks(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

// "1024 px" and "1024px" are 1024 where the unit is px.
std::string_view WithoutUnit(const OptionInfo& info, std::string_view text) {
  text = WithoutBlanks(text);
  if (!info.unit.empty() && text.size() > info.unit.size() && text.ends_with(info.unit)) {
    text.remove_suffix(info.unit.size());
  }
  text = WithoutBlanks(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

template <typename Number>
std::optional<Number> NumberOf(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

// A whole number written as another program prints it: 9.0, 1e3.
template <typename Number>
std::optional<Number> WholeNumberOf(std::string_view text) {
  constexpr double kExact = 9007199254740992.0;  // 2^53: up to here every whole number is a double
  if (const std::optional<Number> number = NumberOf<Number>(text)) return number;
  const std::optional<double> number = NumberOf<double>(text);
  if (!number || *number != std::floor(*number) || std::abs(*number) > kExact) return std::nullopt;
  if (*number < 0 && std::is_unsigned_v<Number>) return std::nullopt;
  return static_cast<Number>(*number);
}

// What else to say about a text that is no number.
std::string NumberHint(const OptionInfo& info, std::string_view text) {
  std::string pointed(text);
  std::replace(pointed.begin(), pointed.end(), ',', '.');
  if (pointed != text && NumberOf<double>(pointed)) return absl::StrCat("; a decimal number has a point: ", pointed);
  if (info.unit == "px" && SizeOf(text)) return "; --size takes width and height together";
  return "";
}

template <typename Number>
Number ParseNumber(const OptionInfo& info, const std::string& text) {
  const std::string_view bare = WithoutUnit(info, text);
  std::optional<Number> number;
  if constexpr (std::is_same_v<Number, double>) {
    number = NumberOf<double>(bare);
  } else {
    number = WholeNumberOf<Number>(bare);
  }
  if (!number) Refuse(info, Quoted(text), NumberHint(info, bare));
  return *number;
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
  const std::vector<std::string> choices = SplitCommas(info.choices);
  if (std::find(choices.begin(), choices.end(), text) != choices.end()) return text;
  const std::optional<bool> value = BoolOf(text);
  return value ? std::string(*value ? info.when_true : info.when_false) : text;
}

bool ParseBool(const OptionInfo& info, const std::string& text) {
  if (const std::optional<bool> value = BoolOf(text)) return *value;
  Refuse(info, Quoted(text));
}

// Of a list that is no list of paths one text may hold several, as an environment variable must: "a:1,b:2".
std::vector<std::string> Parts(const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const std::string& text : texts) {
    for (const std::string& part : SplitCommas(text)) parts.emplace_back(WithoutBlanks(part));
    if (text.empty()) parts.emplace_back();
  }
  return parts;
}

}  // namespace

std::optional<bool> BoolOf(std::string_view text) {
  const std::string lower = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
  for (const char* yes : {"true", "yes", "on", "1"}) {
    if (lower == yes) return true;
  }
  for (const char* no : {"false", "no", "off", "0"}) {
    if (lower == no) return false;
  }
  return std::nullopt;
}

std::optional<std::pair<std::string, std::string>> SizeOf(std::string_view text) {
  const auto is_side = [](std::string_view side) {
    return WholeNumberOf<int64_t>(WithoutUnit(options::kWidth.info, side)).has_value();
  };
  for (const std::string_view times : {"x", "X", "\xC3\x97", "*"}) {
    // Each of them: "1024px x 768px" has several.
    for (size_t at = text.find(times); at != text.npos; at = text.find(times, at + 1)) {
      const std::string_view width = text.substr(0, at), height = text.substr(at + times.size());
      if (is_side(width) && is_side(height)) return std::pair(std::string(width), std::string(height));
    }
  }
  return std::nullopt;
}

std::vector<std::pair<const OptionInfo*, OptionValue>> SidesOf(std::string_view size) {
  const auto sides = SizeOf(size);
  if (!sides) {
    throw Error(ErrorCode::kInvalidArgument, Quoted(size) + " must be WIDTHxHEIGHT in pixels: 1024x768");
  }
  return {{&options::kWidth.info, ParseOption(options::kWidth.info, {sides->first})},
          {&options::kHeight.info, ParseOption(options::kHeight.info, {sides->second})}};
}

std::string OptionName(const OptionInfo& info) { return std::string(info.key.empty() ? info.flag : info.key); }

std::string LegalValues(const OptionInfo& info) {
  switch (info.type) {
    case OptionType::kBool:
      return "true or false";
    case OptionType::kInteger:
    case OptionType::kOptionalInteger:
      return "a whole number" + IntegerRange(info);
    case OptionType::kOptionalUnsigned:
      return "a whole number from 0 to 2^64 - 1";
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
    value = IsPath(info) ? texts : Parts(texts);
  } else if (texts.empty()) {
    if (info.type == OptionType::kOptionalInteger) return std::optional<int64_t>();
    if (info.type == OptionType::kOptionalNumber) return std::optional<double>();
    if (info.type == OptionType::kOptionalUnsigned) return std::optional<uint64_t>();
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
      case OptionType::kOptionalUnsigned:
        value = std::optional<uint64_t>(ParseNumber<uint64_t>(info, text));
        break;
      case OptionType::kText:
        value = ChoiceOf(info, text);
        break;
      case OptionType::kTextList:
        value = text;
        break;
    }
  }
  return AcceptOption(info, std::move(value));
}

bool IsPath(const OptionInfo& info) { return info.unit == "FILE" || info.unit == "DIR" || info.unit == "PATH"; }

OptionValue AcceptOption(const OptionInfo& info, OptionValue value) {
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
    void operator()(const std::optional<uint64_t>&) const {}
  };
  std::visit(Check{info}, value);
  if (!IsPath(info)) return value;
  if (auto* text = std::get_if<std::string>(&value)) *text = ExpandHome(*text);
  if (auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    for (std::string& text : *texts) text = ExpandHome(text);
  }
  return value;
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
    std::string operator()(const std::optional<uint64_t>& number) const { return number ? absl::StrCat(*number) : ""; }
  };
  return std::visit(Write{}, value);
}

std::vector<std::string> SplitCommas(std::string_view text) {
  if (text.empty()) return {};
  return absl::StrSplit(absl::string_view(text.data(), text.size()), ',');
}

}  // namespace diptych
