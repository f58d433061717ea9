// Jobs as a table for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/client/job.h"

namespace diptych {

// One row a job under a line of headings, and one below it for what it waits for or failed of. No line is longer than
// `columns`, 20 at least: where there is less room ids are shortened to an end that no other listed job has, then the
// client is left out, then a job takes two lines. `now_unix_ms`: for the age since acceptance.
std::string JobTable(const std::vector<JobView>& jobs, size_t columns, int64_t now_unix_ms);

}  // namespace diptych
