// Which jobs a list is of, for all stores alike.
#pragma once

#include <string>
#include <string_view>

#include "render_node/jobs/job_store.h"

namespace diptych {

// Throws Error(kInvalidArgument) for a limit out of range, a before_id that is no id, an id_part longer than one.
void CheckFilter(const JobFilter& filter);

// As far as state and times say.
bool IsIn(const Job& job, const JobFilter& filter);

std::string AsciiLowerCase(std::string text);

// Whether the words are part of the prompt's, whatever the case of ASCII letters.
bool HasWords(const JobSpec& spec, std::string_view lower_case);

}  // namespace diptych
