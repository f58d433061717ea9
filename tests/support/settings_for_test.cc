#include "tests/support/settings_for_test.h"

#include <map>

#include "common/config/options.h"
#include "common/config/settings_builder.h"
#include "common/config/value_text.h"
#include "common/error/error.h"

namespace diptych {

bool IsLoadersOwn(const OptionInfo& info) {
  return &info == &options::kConfig.info || &info == &options::kProfile.info || &info == &options::kDebug.info;
}

Settings SettingsForTest(const std::vector<std::pair<std::string, std::string>>& values) {
  std::map<const OptionInfo*, std::vector<std::string>> texts;
  for (const auto& [name, text] : values) {
    const auto all = AllOptions();
    // A flag that several programs have means each of them.
    bool known = false;
    for (const OptionInfo* info : all) {
      if (info->key == name || info->flag == name) {
        texts[info].push_back(text);
        known = true;
        if (info->key == name) break;
      }
    }
    if (!known) throw Error(ErrorCode::kInvalidArgument, "no option is called " + name);
  }
  SettingsBuilder builder;
  for (const auto& [info, given] : texts) builder.Set(*info, ParseOption(*info, given), Origin::kFlag);
  return builder.Take();
}

}  // namespace diptych
