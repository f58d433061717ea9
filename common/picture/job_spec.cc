#include "common/picture/job_spec.h"

#include "common/error/error.h"
#include "common/prompt/prompt_text.h"
#include "common/prompt/utf8.h"

namespace diptych {
namespace {

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

bool IsControl(char32_t code_point) { return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0); }

void CheckBytes(const char* label, const std::string& text, size_t most) {
  if (text.size() > most) {
    Refuse(std::string(label) + " has " + std::to_string(text.size()) + " bytes, the limit is " + std::to_string(most));
  }
  CheckUtf8(label, text);
}

}  // namespace

void CheckClientName(const std::string& client) {
  CheckBytes("client", client, kMaxClientBytes);
  for (size_t at = 0; at < client.size();) {
    const Utf8Character character = ReadUtf8Character(client, at);
    if (IsControl(character.code_point)) Refuse("client contains a control character; a name is printable text");
    at += character.bytes;
  }
}

void CheckLabels(const JobLabels& labels) {
  CheckClientName(labels.client);
  if (labels.priority < -kMaxPriority || labels.priority > kMaxPriority) {
    Refuse("priority " + std::to_string(labels.priority) + " is not from -" + std::to_string(kMaxPriority) + " to " +
           std::to_string(kMaxPriority));
  }
  CheckBytes("idempotency_key", labels.idempotency_key, kMaxIdempotencyKeyBytes);
  if (labels.timeout_ms < 0 || labels.timeout_ms > kMaxTimeoutMs) {
    Refuse("timeout_ms " + std::to_string(labels.timeout_ms) + " is not from 0 (none) to " +
           std::to_string(kMaxTimeoutMs));
  }
}

}  // namespace diptych
