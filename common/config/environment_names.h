// Environment variables of options: DIPTYCH_ and the flag's name, DIPTYCH_MODEL_PATH for --model-path.
#pragma once

#include <string>
#include <vector>

#include "common/config/option.h"

namespace diptych {

// The variable that every program reads which takes this flag; empty for a row that has none
// (OptionInfo::no_environment).
std::string EnvironmentName(const OptionInfo& info);

// All variables of the row, the one that counts first. A daemon's flag that means another key in another program has
// two: DIPTYCH_RENDERD_LISTEN and, for whoever takes --listen, DIPTYCH_LISTEN.
std::vector<std::string> EnvironmentNames(const OptionInfo& info);

// The variables that are set, begin with DIPTYCH_ and belong to no option: "DIPTYCH_RENDR is no setting; did you mean
// DIPTYCH_RENDER?", in the order of their names. Those that begin with DIPTYCH_TEST_ are nobody's business.
std::vector<std::string> UnknownVariables();

}  // namespace diptych
