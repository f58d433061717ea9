#include "common/config/misplaced_value.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "common/config/value_text.h"

namespace diptych {
namespace {

// En dash, em dash and minus sign in UTF-8.
constexpr std::string_view kOtherDashes[] = {"\xE2\x80\x93", "\xE2\x80\x94", "\xE2\x88\x92"};

const CLI::Option* FlagOf(const CLI::App& app, const std::string& name) {
  return name.size() > 1 && name[0] == '-' ? app.get_option_no_throw(name) : nullptr;
}

bool IsSwitch(const CLI::Option& flag) { return flag.get_expected_min() == 0; }

// What nobody writes behind a switch but as its value.
bool LooksLikeItsValue(const CLI::Option& flag, const std::string& word, bool takes_arguments) {
  const bool is_digit = word == "0" || word == "1";  // an argument may be called so
  if (BoolOf(word) && !(is_digit && takes_arguments)) return true;
  for (const OptionInfo* info : AllOptions()) {
    if (info->when_true.empty() || !flag.check_name(std::string(info->flag))) continue;
    const std::vector<std::string> choices = SplitCommas(info->choices);
    if (std::find(choices.begin(), choices.end(), word) != choices.end()) return true;
  }
  return false;
}

// "--steps" of "-steps" and "–steps" where there is such a flag.
std::string WithTwoDashes(const CLI::App& app, const std::string& word) {
  std::string_view name = word;
  name = name.substr(0, name.find('='));
  bool other = false;
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view dash : kOtherDashes) {
      if (!absl::StartsWith(absl::string_view(name.data(), name.size()), absl::string_view(dash.data(), dash.size())))
        continue;
      name.remove_prefix(dash.size());
      found = other = true;
    }
  }
  if (!other) {
    if (name.size() < 3 || name[0] != '-' || name[1] == '-') return "";
    name.remove_prefix(1);
  }
  while (!name.empty() && name[0] == '-') name.remove_prefix(1);
  const std::string flag = absl::StrCat("--", std::string(name));
  return name.size() > 1 && FlagOf(app, flag) != nullptr ? flag : "";
}

}  // namespace

std::optional<std::string> MisplacedValue(const CLI::App& app, const std::vector<std::string>& arguments) {
  const auto options = app.get_options();
  const bool takes_arguments =
      std::any_of(options.begin(), options.end(), [](const CLI::Option* option) { return option->get_positional(); });
  for (size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    const std::string& word = arguments[i];
    if (const std::string meant = WithTwoDashes(app, word); !meant.empty()) {
      return absl::StrCat("\"", word, "\" must begin with two dashes: ", meant);
    }
    const CLI::Option* flag = FlagOf(app, word);
    if (flag == nullptr || i + 1 == arguments.size()) continue;
    if (!IsSwitch(*flag)) {
      ++i;  // its value, whatever it looks like
    } else if (const std::string& next = arguments[i + 1]; LooksLikeItsValue(*flag, next, takes_arguments)) {
      const std::string prompt =
          takes_arguments ? absl::StrCat("; an argument \"", next, "\" goes in front of the flags") : "";
      const bool is_long = word[1] == '-' || flag->get_lnames().empty();
      const std::string name = is_long ? word : "--" + flag->get_lnames().back();
      return absl::StrCat(word, " takes a value only behind \"=\": write ", name, "=", next, prompt);
    }
  }
  return std::nullopt;
}

}  // namespace diptych
