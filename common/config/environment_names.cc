#include "common/config/environment_names.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "common/config/unknown_name.h"

namespace diptych {
namespace {

constexpr char kPrefix[] = "DIPTYCH_";
constexpr size_t kPrefixSize = sizeof kPrefix - 1;
constexpr char kOfTests[] = "DIPTYCH_TEST_";

bool SharesItsFlag(const OptionInfo& info) {
  const auto all = AllOptions();
  return std::count_if(all.begin(), all.end(), [&](const OptionInfo* other) { return other->flag == info.flag; }) > 1;
}

std::string Name(std::string_view program, const OptionInfo& info) {
  return absl::StrCat(kPrefix, std::string(program), absl::AsciiStrToUpper(BareName(info.flag)));
}

}  // namespace

std::string EnvironmentName(const OptionInfo& info) { return info.no_environment.empty() ? Name("", info) : ""; }

std::vector<std::string> EnvironmentNames(const OptionInfo& info) {
  if (!info.no_environment.empty()) return {};
  std::vector<std::string> names;
  if (SharesItsFlag(info) && (info.programs & kEncoderd) != 0) names.push_back(Name("ENCODERD_", info));
  if (SharesItsFlag(info) && (info.programs & kRenderd) != 0) names.push_back(Name("RENDERD_", info));
  names.push_back(Name("", info));
  return names;
}

std::vector<std::string> UnknownVariables() {
  std::vector<std::string> known;
  for (const OptionInfo* info : AllOptions()) {
    for (const std::string& name : EnvironmentNames(*info)) known.push_back(name);
  }
  std::set<std::string> unknown;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string name(text.substr(0, text.find('=')));
    if (!absl::StartsWith(name, kPrefix) || absl::StartsWith(name, kOfTests)) continue;
    if (std::find(known.begin(), known.end(), name) == known.end()) unknown.insert(name);
  }
  std::vector<std::string> bare;  // the prefix says nothing about what is near
  for (const std::string& name : known) bare.push_back(name.substr(kPrefixSize));
  std::vector<std::string> lines;
  for (const std::string& name : unknown) {
    const std::optional<std::string> nearest = NearestKey(name.substr(kPrefixSize), bare);
    lines.push_back(absl::StrCat("environment variable ", name, " is none of the settings and has no effect",
                                 nearest ? absl::StrCat("; did you mean ", kPrefix, *nearest, "?") : ""));
  }
  return lines;
}

}  // namespace diptych
