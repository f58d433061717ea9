// The pictures of a command line, and where they go.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "coordinator/cli/environment.h"
#include "coordinator/cli/output_names.h"
#include "coordinator/order/picture_plan.h"

namespace diptych {

// What the argument PROMPT and the settings ask for, in this user's name. Throws as ReadPlan and CallerName.
PicturePlan ReadCommandPlan(const std::optional<std::string>& argument, const Settings& settings,
                            const Environment& environment);

// Where the pictures go, by the rules of NameOutputs; `unix_s` is the time for names that hold one.
std::vector<OutputName> NamePictures(const PicturePlan& plan, const OutputWish& wish, int64_t unix_s);

}  // namespace diptych
