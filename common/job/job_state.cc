#include "common/job/job_state.h"

#include <string>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr std::array<std::string_view, kJobStates.size()> kNames = {"queued",   "encoding", "ready",  "rendering",
                                                                    "decoding", "done",     "failed", "cancelled"};

}  // namespace

bool IsTerminal(JobState state) {
  return state == JobState::kDone || state == JobState::kFailed || state == JobState::kCancelled;
}

std::string_view JobStateName(JobState state) {
  return state == JobState::kUnknown ? "unknown" : kNames[static_cast<size_t>(state)];
}

JobState ParseJobState(std::string_view name) {
  for (const JobState state : kJobStates) {
    if (JobStateName(state) == name) return state;
  }
  throw Error(ErrorCode::kInvalidArgument, std::string(name) +
                                               " is not a job state, which is queued, encoding, ready, rendering, "
                                               "decoding, done, failed or cancelled");
}

}  // namespace diptych
