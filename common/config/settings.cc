#include "common/config/settings.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/config_search.h"
#include "common/config/environment_names.h"
#include "common/config/options.h"
#include "common/config/settings_builder.h"
#include "common/config/value_text.h"
#include "common/error/error.h"

namespace diptych {

const Settings::Entry& Settings::Find(const OptionInfo& info) const {
  const auto found = entries_.find(&info);
  if (found == entries_.end()) throw Error(ErrorCode::kInternal, OptionName(info) + " is missing in AllOptions()");
  return found->second;
}

Settings Settings::With(const std::vector<Change>& changes) const {
  Settings changed = *this;
  for (const auto& [info, value] : changes) {
    changed.entries_[info] = value ? Entry{*value, Origin::kFlag} : Entry{DefaultOf(*info), Origin::kDefault};
  }
  return changed;
}

std::vector<std::string> Settings::GivenFlags(ProgramMask programs) const {
  std::vector<std::string> flags;
  for (const OptionInfo* info : AllOptions()) {
    if ((info->programs & programs) != 0 && entries_.at(info).origin == Origin::kFlag) flags.emplace_back(info->flag);
  }
  return flags;
}

std::string ConfigurationLine(const Settings& settings) {
  const std::string& path = settings.Get(options::kConfig);
  const Origin origin = settings.OriginOf(options::kConfig);
  const std::string flag(options::kConfig.info.flag), variable = EnvironmentName(options::kConfig.info);
  const std::string why = origin == Origin::kFlag          ? flag
                          : origin == Origin::kEnvironment ? variable
                          : path.empty()                   ? absl::StrJoin(ConfigPlaces(), " and ") + " are not there"
                                                           : "found there";
  return absl::StrCat(path.empty() ? std::string("no configuration file") : "configuration file " + path, " (", why,
                      ")");
}

SettingsBuilder::SettingsBuilder() {
  for (const OptionInfo* info : AllOptions()) Set(*info, DefaultOf(*info), Origin::kDefault);
}

void SettingsBuilder::Set(const OptionInfo& info, const OptionValue& value, Origin origin) {
  Settings::Entry& entry = settings_.entries_[&info];
  entry.value = value;
  entry.origin = origin;
}

}  // namespace diptych
