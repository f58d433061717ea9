// The TOML file: tables are profiles, their sub-tables are sections. A profile stands alone unless it says inherits =
// "other".
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/config/option.h"

namespace diptych {

// The values that the profile states, its own before inherited ones; each option at most once.
// Every profile of the file is checked, so that a misspelled key shows at once. Throws Error: kNotFound for a file that
// cannot be read, kInvalidArgument ("file.toml:12: ...") for what is not legal, for an unknown key and for a missing
// profile.
std::vector<std::pair<const OptionInfo*, OptionValue>> ReadProfile(const std::string& path, const std::string& profile);

}  // namespace diptych
