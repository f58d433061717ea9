#include "render_node/jobs/job.h"

#include <cmath>

#include "common/error/error.h"
#include "common/file_names/temporary_name.h"
#include "common/prompt/prompt_text.h"
#include "common/prompt/utf8.h"

namespace diptych {
namespace {

constexpr std::array<std::string_view, kJobStates.size()> kNames = {"queued",   "encoding", "ready",  "rendering",
                                                                    "decoding", "done",     "failed", "cancelled"};

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

bool IsControl(char32_t code_point) { return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0); }

auto TextsOf(auto& prompt) {
  return std::array{&prompt.user, &prompt.system, &prompt.thinking, &prompt.assistant, &prompt.conversation_json};
}

void CheckFinite(const char* field, double value) {
  if (!std::isfinite(value)) Refuse(std::string(field) + " is not a finite number");
}

}  // namespace

bool IsLegal(JobState from, JobState to) { return kLegal[static_cast<size_t>(from)][static_cast<size_t>(to)]; }

bool IsTerminal(JobState state) {
  return state == JobState::kDone || state == JobState::kFailed || state == JobState::kCancelled;
}

std::string_view JobStateName(JobState state) { return kNames[static_cast<size_t>(state)]; }

JobState ParseJobState(std::string_view name) {
  for (const JobState state : kJobStates) {
    if (JobStateName(state) == name) return state;
  }
  Refuse(std::string(name) +
         " is not a job state, which is queued, encoding, ready, rendering, decoding, done, failed or cancelled");
}

void CheckClientName(const std::string& client) {
  if (client.size() > kMaxClientBytes) {
    Refuse("client has " + std::to_string(client.size()) + " bytes, the limit is " + std::to_string(kMaxClientBytes));
  }
  CheckUtf8("client", client);
  for (size_t at = 0; at < client.size();) {
    const Utf8Character character = ReadUtf8Character(client, at);
    if (IsControl(character.code_point)) Refuse("client contains a control character; a name is printable text");
    at += character.bytes;
  }
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
  CheckFinite("shift", spec.shift.value_or(0));
  CheckFinite("guidance_scale", spec.guidance_scale);
  CheckFinite("cfg_normalization", spec.cfg_normalization);
  CheckFinite("cfg_truncation", spec.cfg_truncation);
  CheckClientName(spec.client);
  if (spec.priority < -kMaxPriority || spec.priority > kMaxPriority) {
    Refuse("priority " + std::to_string(spec.priority) + " is not from -" + std::to_string(kMaxPriority) + " to " +
           std::to_string(kMaxPriority));
  }
  if (spec.idempotency_key.size() > kMaxIdempotencyKeyBytes) {
    Refuse("idempotency_key has " + std::to_string(spec.idempotency_key.size()) + " bytes, the limit is " +
           std::to_string(kMaxIdempotencyKeyBytes));
  }
  CheckUtf8("idempotency_key", spec.idempotency_key);
  if (spec.timeout_ms < 0 || spec.timeout_ms > kMaxTimeoutMs) {
    Refuse("timeout_ms " + std::to_string(spec.timeout_ms) + " is not from 0 (none) to " +
           std::to_string(kMaxTimeoutMs));
  }
}

}  // namespace diptych
