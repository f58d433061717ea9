// What a client asked the encoder for, checked.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "diptych/v1/encoder.pb.h"
#include "encoder_node/engine/prompt_encoder.h"

namespace diptych {

struct ValidEncodeRequest {
  EncodeInput input;
  EncodeParameters parameters;
};

inline constexpr size_t kLongestClientName = 256;  // bytes of EncodeRequest.client that count

// encoder.proto says which fields are required and which error each violation gives. The message names the field, its
// value and the limits. `prompt_byte_limit` holds for all parts of the prompt together.
absl::StatusOr<ValidEncodeRequest> ValidateEncodeRequest(const v1::EncodeRequest& request, const EncoderFacts& facts,
                                                         int64_t prompt_byte_limit);

}  // namespace diptych
