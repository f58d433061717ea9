// Settings without a command line.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/config/settings.h"

namespace diptych {

// --config, --profile and --debug: they end in the loader, which turns them into other keys.
bool IsLoadersOwn(const OptionInfo& info);

// Settings as if these flags had been given, by key ("encoder.threads") or flag ("--seed"); lists take one pair an
// entry. Throws Error(kInvalidArgument) for an unknown name or an illegal value.
Settings SettingsForTest(const std::vector<std::pair<std::string, std::string>>& values = {});

}  // namespace diptych
