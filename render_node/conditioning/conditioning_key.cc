#include "render_node/conditioning/conditioning_key.h"

#include <string_view>

#include "common/conditioning/encode_input_hash.h"
#include "common/digest/sha256.h"

namespace diptych {
namespace {

// Change it with whatever changes the values that one request gives: a key then finds nothing of before.
constexpr std::string_view kKeyVersion = "diptych conditioning key 1";

std::string KeyOf(const EncoderIdentity& identity, const std::string& input_sha256, int32_t layer, LongPromptMode mode,
                  int64_t row_limit) {
  Sha256 digest;
  digest.UpdateField(kKeyVersion);
  digest.UpdateField(identity.model_fingerprint);
  digest.UpdateField(identity.tokenizer_fingerprint);
  digest.UpdateField(StateDtypeName(identity.dtype));
  digest.UpdateField(input_sha256);
  digest.UpdateField(std::to_string(layer));
  digest.UpdateField(LongPromptModeName(mode));
  digest.UpdateField(std::to_string(row_limit));
  return digest.HexDigest();
}

std::string Short(const std::string& fingerprint) {
  return fingerprint.empty() ? "not stated" : fingerprint.substr(0, 12);
}

}  // namespace

EncoderIdentity IdentityOf(const ConditioningHeader& header) {
  return {header.model_fingerprint, header.tokenizer_fingerprint, header.dtype};
}

std::string IdentityDifference(const EncoderIdentity& other, const EncoderIdentity& ours) {
  const auto differ = [](const char* what, const std::string& its, const std::string& this_pools) {
    return std::string("its ") + what + " is " + its + ", this pool's is " + this_pools;
  };
  if (other.model_fingerprint != ours.model_fingerprint) {
    return differ("model", Short(other.model_fingerprint), Short(ours.model_fingerprint));
  }
  if (other.tokenizer_fingerprint != ours.tokenizer_fingerprint) {
    return differ("tokenizer", Short(other.tokenizer_fingerprint), Short(ours.tokenizer_fingerprint));
  }
  if (other.dtype != ours.dtype) {
    return differ("number format", std::string(StateDtypeName(other.dtype)), std::string(StateDtypeName(ours.dtype)));
  }
  return "";
}

std::string ConditioningKey(const FetchRequest& request, const EncoderIdentity& identity) {
  return KeyOf(identity, EncodeInputHash(EncodeInputOf(request.prompt)), request.layer, request.long_prompt_mode,
               request.row_limit);
}

std::string ConditioningKey(const ConditioningHeader& header, int64_t row_limit) {
  return KeyOf(IdentityOf(header), header.input_sha256, header.layer, header.long_prompt_mode, row_limit);
}

}  // namespace diptych
