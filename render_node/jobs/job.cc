#include "render_node/jobs/job.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "common/error/error.h"
#include "common/files/temporary_name.h"

namespace diptych {
namespace {

// Row: from; column: to; both in the order of JobState.
constexpr bool kLegal[kJobStates.size()][kJobStates.size()] = {
    // queued encod. ready  rend.  decod. done   failed cancelled
    {false, true, false, false, false, false, true, true},     // queued
    {true, false, true, false, false, false, true, true},      // encoding
    {true, false, false, true, false, false, true, true},      // ready
    {true, false, false, false, true, false, true, true},      // rendering
    {true, false, false, false, false, true, true, true},      // decoding
    {false, false, false, false, false, false, false, false},  // done
    {false, false, false, false, false, false, false, false},  // failed
    {false, false, false, false, false, false, false, false},  // cancelled
};

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

auto TextsOf(auto& prompt) {
  return std::array{&prompt.user, &prompt.system, &prompt.thinking, &prompt.assistant, &prompt.conversation_json};
}

}  // namespace

bool IsLegal(JobState from, JobState to) { return kLegal[static_cast<size_t>(from)][static_cast<size_t>(to)]; }

void BeginAttempt(Job& job, int64_t now_unix_ms) {
  job.timings = job.timings.WaitAlone();
  if (job.attempt == 0) {  // later it did not only wait since it was accepted
    job.timings.queue_ms = static_cast<double>(std::max<int64_t>(0, now_unix_ms - job.accepted_unix_ms));
  }
  job.state = JobState::kEncoding;
  ++job.attempt;
  job.sequence = std::max(job.sequence + 1, now_unix_ms * 1000);
}

double EncodeWorkOf(const JobSpec& spec) {
  const auto of = [](const std::optional<PromptParts>& prompt) {
    double bytes = kTemplateBytes;
    if (!prompt) return bytes;
    for (const std::string* part : TextsOf(*prompt)) bytes += static_cast<double>(part->size());
    return bytes;
  };
  return of(spec.prompt) + (spec.guidance_scale > 0 ? of(spec.negative) : 0);
}

int64_t PromptBytes(const JobSpec& spec) {
  size_t bytes = 0;
  for (const std::optional<PromptParts>* prompt : {&spec.prompt, &spec.negative}) {
    if (!*prompt) continue;
    for (const std::string* part : TextsOf(**prompt)) bytes += part->size();
  }
  return static_cast<int64_t>(bytes);
}

bool ShortenPrompts(JobSpec& spec) {
  bool shortened = false;
  for (std::optional<PromptParts>* prompt : {&spec.prompt, &spec.negative}) {
    if (!*prompt) continue;
    size_t room = kShownPromptBytes;
    for (std::string* part : TextsOf(**prompt)) {
      const size_t kept = CutText(*part, room).size();
      shortened = shortened || kept < part->size();
      part->resize(kept);
      room -= kept;
    }
  }
  return shortened;
}

void ValidateSpec(const JobSpec& spec, bool conditioning_uploaded, int64_t prompt_byte_limit) {
  if (!spec.prompt && !conditioning_uploaded) Refuse("a job needs a prompt or uploaded conditioning");
  if (spec.prompt) CheckPromptParts("prompt", *spec.prompt, prompt_byte_limit);
  if (spec.negative) CheckPromptParts("negative", *spec.negative, prompt_byte_limit);
  CheckRanges(spec);
  CheckLabels(spec);
}

}  // namespace diptych
