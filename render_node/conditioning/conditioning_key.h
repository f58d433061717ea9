// What finished conditioning is filed under: everything that decides its values, and nothing else.
#pragma once

#include <cstdint>
#include <string>

#include "common/conditioning/conditioning.h"
#include "render_node/conditioning/conditioning_source.h"

namespace diptych {

// What decides the values besides the request. Encoders of one identity stand in for each other.
struct EncoderIdentity {
  std::string model_fingerprint;      // of the text encoder's weights and configuration, 64 hex digits
  std::string tokenizer_fingerprint;  // of the tokenizer's files, 64 hex digits
  StateDtype dtype = StateDtype::kBFloat16;

  bool operator==(const EncoderIdentity&) const = default;
};

EncoderIdentity IdentityOf(const ConditioningHeader& header);

// The first way in which `other` differs from `ours`, with the first 12 digits of both fingerprints: "its model is
// 0123456789ab, this pool's is ba9876543210". Empty when they are equal.
std::string IdentityDifference(const EncoderIdentity& other, const EncoderIdentity& ours);

// 64 hex digits. Equal for prompts whose parts make the same input. Throws Error(kInvalidArgument) like
// EncodeInputOf.
std::string ConditioningKey(const FetchRequest& request, const EncoderIdentity& identity);

// The same for what an encoder sent. Equal to the request's key when the encoder is of that identity and formatted the
// prompt as this program does.
std::string ConditioningKey(const ConditioningHeader& header, int64_t row_limit);

}  // namespace diptych
