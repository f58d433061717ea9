#include "encoder_node/service/encode_request.h"

#include "absl/strings/str_cat.h"
#include "common/error/status.h"
#include "common/foreign_text/foreign_text.h"
#include "common/prompt/encode_input.h"
#include "common/wire/enums.h"
#include "common/wire/prompt_codec.h"

namespace diptych {
namespace {

absl::StatusOr<EncodeInput> InputOf(const v1::Prompt& message, int64_t byte_limit) {
  const absl::StatusOr<PromptParts> parts = FromProto(message);
  if (!parts.ok()) return absl::Status(parts.status().code(), absl::StrCat("prompt: ", parts.status().message()));
  return Guard([&] {
    CheckPromptParts("prompt", *parts, byte_limit);
    return EncodeInputOf(*parts);
  });
}

}  // namespace

absl::StatusOr<ValidEncodeRequest> ValidateEncodeRequest(const v1::EncodeRequest& request, const EncoderFacts& facts,
                                                         int64_t prompt_byte_limit) {
  const std::string& expected = request.expected_model_fingerprint();
  if (!expected.empty() && expected != facts.model_fingerprint) {
    constexpr size_t kDigits = 64;
    if (expected.size() != kDigits) {
      return absl::InvalidArgumentError(absl::StrCat("expected_model_fingerprint of ", expected.size(),
                                                     " bytes is not ", kDigits, " hexadecimal digits"));
    }
    return absl::FailedPreconditionError(
        absl::StrCat("the text encoder is ", facts.model_fingerprint, ", expected is ", ForeignText(expected)));
  }
  if (!request.has_prompt()) return absl::InvalidArgumentError("prompt is not set");

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
  parameters.token_limit = request.token_limit();
  if (parameters.token_limit < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("token_limit ", parameters.token_limit, " is negative; 0 stands for no limit"));
  }
  const absl::StatusOr<LongPromptMode> mode = FromProto(request.long_prompt_mode());
  if (!mode.ok()) return mode.status();
  parameters.long_prompt_mode = *mode;

  absl::StatusOr<EncodeInput> input = InputOf(request.prompt(), prompt_byte_limit);
  if (!input.ok()) return input.status();
  valid.input = *std::move(input);
  return valid;
}

}  // namespace diptych
