// What a renderer says of jobs, as JSON; docs/json_output.md is the contract. The texts in it are the renderer's.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "coordinator/client/job.h"

namespace diptych {

nlohmann::ordered_json JobJson(const JobView& job);
nlohmann::ordered_json PauseJson(const QueuePause& pause);
nlohmann::ordered_json TimingsJson(const JobTimings& timings);  // milliseconds

}  // namespace diptych
