// What a render daemon does, in one line for the service manager.
#pragma once

#include <string>

#include "render_node/jobs/job_queue.h"

namespace diptych {

// "painting 01ARZ3NDEKTSV4RRFFQ69G5FAV, step 3 of 9; 4 jobs wait", "idle; no jobs wait", "idle; paused by ada; 3 jobs
// wait".
std::string StatusLine(const JobQueue::Census& queue);

}  // namespace diptych
