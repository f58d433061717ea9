#include "common/config/unplaced_argument.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/foreign_flag.h"
#include "common/config/nearest.h"
#include "common/config/options.h"

namespace diptych {
namespace {

bool IsFlag(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

// All spellings of all flags: "--seed", "-o".
std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::optional<std::string> ProbablyMeant(const std::string& flag, const std::vector<std::string>& names) {
  for (const OptionInfo* info : AllOptions()) {  // "--num-inference-steps": the key's name in place of the flag's
    const std::string known(info->flag);
    if (BareName(info->key) == BareName(flag) && std::find(names.begin(), names.end(), known) != names.end()) {
      return known;
    }
  }
  return NearestKey(flag, names);
}

// Of "--flag=value" and of "--flag value"; empty when there is none.
std::string ValueOf(std::vector<std::string>::const_iterator flag, std::vector<std::string>::const_iterator end) {
  if (const size_t at = flag->find('='); at != flag->npos) return flag->substr(at + 1);
  return flag + 1 == end ? "" : *(flag + 1);
}

std::string Advice(const std::string& flag, const std::string& value, const std::vector<std::string>& known) {
  if (const auto advice = ForeignFlagAdvice(flag, value, known)) return "; " + *advice;
  if (const std::string who = WhoTakesFlag(flag); !who.empty()) return who;
  const std::optional<std::string> meant = ProbablyMeant(flag, known);
  return meant ? absl::StrCat("; did you mean ", *meant, "?") : "";
}

}  // namespace

std::optional<std::string> ForeignShortFlag(const CLI::App& app, const std::vector<std::string>& arguments) {
  const std::vector<std::string> known = FlagNames(app);
  for (auto word = arguments.begin(); word != arguments.end() && *word != "--"; ++word) {
    const std::string flag = word->substr(0, word->find('='));
    if (flag.size() < 3 || flag[0] != '-' || flag[1] == '-' || flag.find(' ') != flag.npos) continue;
    const std::string long_one = "-" + flag;  // "-steps" is ours with a dash too few, and that is said elsewhere
    if (std::find(known.begin(), known.end(), long_one) != known.end()) continue;
    if (const auto advice = ForeignFlagAdvice(flag, ValueOf(word, arguments.end()), known)) {
      return absl::StrCat("unknown flag ", flag, "; ", *advice, " (", app.get_name(), " --help lists the flags)");
    }
  }
  return std::nullopt;
}

std::optional<std::string> UnplacedArgument(const CLI::App& app, std::string_view hint) {
  std::vector<std::string> extras = app.remaining();
  const std::vector<std::string> known_flags = FlagNames(app);
  const bool has_mark = std::erase(extras, "--") > 0;  // CLI11 keeps it; behind it everything is an argument
  if (extras.empty()) return std::nullopt;
  const auto extra = std::find_if(extras.begin(), extras.end(), IsFlag);
  if (extra == extras.end()) {
    return absl::StrCat("unexpected argument \"", extras.front(), "\"", std::string(hint), " (", app.get_name(),
                        " --help lists the flags)");
  }
  const std::string flag = extra->substr(0, extra->find('='));
  if (has_mark && std::find(known_flags.begin(), known_flags.end(), flag) != known_flags.end()) {
    return absl::StrCat("flag ", flag, " stands behind --, where everything is an argument; put it before");
  }
  if (flag.find(' ') != std::string::npos) {
    return absl::StrCat("\"", flag, "\" looks like a flag; put the flags first, then -- and this argument");
  }
  return absl::StrCat("unknown flag ", flag, Advice(flag, ValueOf(extra, extras.end()), known_flags), " (",
                      app.get_name(), " --help lists the flags)");
}

}  // namespace diptych
