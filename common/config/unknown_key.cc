#include "common/config/unknown_key.h"

#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/nearest.h"
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

}  // namespace

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

}  // namespace diptych
