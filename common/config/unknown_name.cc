#include "common/config/unknown_name.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/foreign_flag.h"
#include "common/config/options.h"
#include "common/config/value_text.h"

namespace diptych {
namespace {

// "encoder" of "encoder.threads"; empty for a key outside of sections.
std::string SectionOf(std::string_view key) {
  const size_t dot = key.find('.');
  return dot == std::string_view::npos ? "" : std::string(key.substr(0, dot));
}

std::vector<std::string> Sections() {
  std::set<std::string> sections;
  for (const OptionInfo* info : AllOptions()) sections.insert(SectionOf(info->key));
  sections.erase("");
  return {sections.begin(), sections.end()};
}

bool HasFlagNamed(const OptionInfo& info, const std::string& bare_name) {
  if (BareName(info.flag) == bare_name) return true;
  for (const std::string& alias : SplitCommas(info.aliases)) {
    if (BareName(alias) == bare_name) return true;
  }
  return false;
}

std::string DidYouMean(const std::vector<std::string>& names) {
  return absl::StrCat("; did you mean \"", absl::StrJoin(names, "\" or \""), "\"?");
}

std::string KeysOf(const std::string& section) {
  std::vector<std::string> names;
  for (const OptionInfo* info : AllOptions()) {
    if (!info->key.empty() && SectionOf(info->key) == section) names.push_back(BareName(info->key));
  }
  if (!section.empty()) return absl::StrCat("; section ", section, " holds ", absl::StrJoin(names, ", "));
  return absl::StrCat("; keys outside of sections are ", absl::StrJoin(names, ", "), "; sections are ",
                      absl::StrJoin(Sections(), ", "));
}

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

size_t EditDistance(std::string_view left, std::string_view right) {
  // Distances of a growing prefix of `left` to each prefix of `right`: this one, one shorter, two shorter.
  std::vector<size_t> row(right.size() + 1), above(row), second_above(row);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < left.size(); ++i) {
    std::swap(second_above, above);
    std::swap(above, row);
    row[0] = i + 1;
    for (size_t j = 0; j < right.size(); ++j) {
      const size_t replace = above[j] + (left[i] == right[j] ? 0 : 1);
      row[j + 1] = std::min({replace, row[j] + 1, above[j + 1] + 1});
      if (i > 0 && j > 0 && left[i] == right[j - 1] && left[i - 1] == right[j]) {
        row[j + 1] = std::min(row[j + 1], second_above[j - 1] + 1);
      }
    }
  }
  return row.back();
}

std::string BareName(std::string_view name) {
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  std::string bare(name.substr(name.rfind('.') + 1));  // npos + 1 is 0
  std::replace(bare.begin(), bare.end(), '-', '_');
  return bare;
}

std::optional<std::string> NearestKey(std::string_view text, const std::vector<std::string>& candidates) {
  const std::string name = BareName(text);
  std::optional<std::string> nearest;
  std::pair<size_t, size_t> least;  // edits of the bare name, then of the whole
  for (const std::string& candidate : candidates) {
    const std::string bare = BareName(candidate);
    const std::pair distance(EditDistance(name, bare), EditDistance(text, candidate));
    if (distance.first > std::max(name.size(), bare.size()) / 3) continue;
    if (nearest && distance >= least) continue;
    nearest = candidate;
    least = distance;
  }
  return nearest;
}

std::string UnknownKeyMessage(const std::string& key) {
  const std::string unknown = absl::StrCat("unknown key \"", key, "\"");
  const std::string name = BareName(key);
  std::vector<std::string> keys, same_name;
  std::string flag_alone;  // a flag of that name without a key
  for (const OptionInfo* info : AllOptions()) {
    const bool has_flag = HasFlagNamed(*info, name);
    if (info->key.empty()) {
      if (has_flag) flag_alone = info->flag;
      continue;
    }
    keys.emplace_back(info->key);
    if (has_flag || BareName(info->key) == name) same_name.emplace_back(info->key);
  }
  if (!same_name.empty()) return unknown + DidYouMean(same_name);
  if (!flag_alone.empty()) return absl::StrCat(unknown, "; there is only the flag ", flag_alone);
  if (const std::optional<std::string> nearest = NearestKey(key, keys)) return unknown + DidYouMean({*nearest});
  return unknown + KeysOf(SectionOf(key));
}

std::string UnknownSectionMessage(const std::string& section) {
  const std::string unknown = absl::StrCat("unknown section \"", section, "\"");
  if (const std::optional<std::string> nearest = NearestKey(section, Sections())) {
    return unknown + DidYouMean({*nearest});
  }
  return absl::StrCat(unknown, "; the sections are ", absl::StrJoin(Sections(), ", "));
}

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
