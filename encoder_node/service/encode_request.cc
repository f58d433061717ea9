#include "encoder_node/service/encode_request.h"

#include "absl/strings/str_cat.h"
#include "common/prompt/chat_formatter.h"
#include "common/prompt/conversation.h"
#include "common/prompt/prompt_text.h"
#include "common/status/status.h"
#include "common/wire/enums.h"
#include "common/wire/prompt_codec.h"

namespace diptych {
namespace {

absl::Status CheckPrompt(const v1::Prompt& prompt, int64_t byte_limit) {
  const size_t bytes = prompt.user().size() + prompt.system().size() + prompt.thinking().size() +
                       prompt.assistant().size() + prompt.conversation_json().size();
  if (static_cast<int64_t>(bytes) > byte_limit) {
    return absl::InvalidArgumentError(
        absl::StrCat("prompt: ", bytes, " bytes, this encoder takes at most ", byte_limit));
  }
  if (!prompt.template_name().empty()) {
    return absl::InvalidArgumentError("prompt: template_name is set, this encoder has no templates");
  }
  if (!prompt.conversation_json().empty() && HasPromptParts(prompt)) {
    return absl::InvalidArgumentError("prompt: conversation_json is set, so every other field must be unset");
  }
  return absl::OkStatus();
}

std::string Format(const v1::Prompt& prompt) {
  if (prompt.conversation_json().empty()) return FormatPrompt(PromptPartsFromProto(prompt));
  CheckUtf8("conversation_json", prompt.conversation_json());
  return FormatConversation(ParseConversation(prompt.conversation_json()));
}

}  // namespace

absl::StatusOr<ValidEncodeRequest> ValidateEncodeRequest(const v1::EncodeRequest& request, const EncoderFacts& facts,
                                                         int64_t prompt_byte_limit) {
  if (!request.expected_model_fingerprint().empty() &&
      request.expected_model_fingerprint() != facts.model_fingerprint) {
    return absl::FailedPreconditionError(absl::StrCat("the text encoder is ", facts.model_fingerprint, ", expected is ",
                                                      request.expected_model_fingerprint()));
  }
  if (!request.has_prompt()) return absl::InvalidArgumentError("prompt is not set");
  if (absl::Status s = CheckPrompt(request.prompt(), prompt_byte_limit); !s.ok()) return s;

  ValidEncodeRequest valid;
  EncodeParameters& parameters = valid.parameters;
  if (request.has_layer()) parameters.layer = request.layer();
  const int32_t deepest = -(facts.layers + 1);
  if (parameters.layer > -1 || parameters.layer < deepest) {
    return absl::InvalidArgumentError(absl::StrCat("layer ", parameters.layer, " is not from ", deepest,
                                                   " to -1 (this encoder has ", facts.layers, " layers)"));
  }
  parameters.row_limit = request.row_limit();
  if (parameters.row_limit < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("row_limit ", parameters.row_limit, " is negative; 0 stands for no limit"));
  }
  const absl::StatusOr<LongPromptMode> mode = FromProto(request.long_prompt_mode());
  if (!mode.ok()) return mode.status();
  parameters.long_prompt_mode = *mode;

  absl::StatusOr<std::string> text = Guard([&] { return Format(request.prompt()); });
  if (!text.ok()) return text.status();
  valid.formatted_text = *std::move(text);
  return valid;
}

}  // namespace diptych
