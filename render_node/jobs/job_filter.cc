#include "render_node/jobs/job_filter.h"

#include "common/error/error.h"
#include "render_node/jobs/job_id.h"

namespace diptych {

void CheckFilter(const JobFilter& filter) {
  if (filter.limit < 0 || filter.limit > kMaxListLimit) {
    throw Error(ErrorCode::kInvalidArgument,
                "limit " + std::to_string(filter.limit) + " is not from 1 to " + std::to_string(kMaxListLimit));
  }
  if (!filter.before_id.empty() && !IsJobId(filter.before_id)) {
    throw Error(ErrorCode::kInvalidArgument, "before_id is not a job id, which is 26 digits and capital letters");
  }
  if (filter.id_part.size() > kJobIdLength) {
    throw Error(ErrorCode::kInvalidArgument, "id_part is longer than a job id, which is 26 digits and capital letters");
  }
}

bool IsIn(const Job& job, const JobFilter& filter) {
  if (!filter.states.empty() && !filter.states.contains(job.state)) return false;
  if (filter.accepted_from_ms > 0 && job.accepted_unix_ms < filter.accepted_from_ms) return false;
  return filter.accepted_before_ms <= 0 || job.accepted_unix_ms < filter.accepted_before_ms;
}

std::string AsciiLowerCase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool HasWords(const JobSpec& spec, std::string_view lower_case) {
  if (!spec.prompt) return false;
  for (const std::string* part : {&spec.prompt->user, &spec.prompt->conversation_json}) {
    if (AsciiLowerCase(*part).find(lower_case) != std::string::npos) return true;
  }
  return false;
}

}  // namespace diptych
