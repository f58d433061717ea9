#include "common/conditioning/conditioning_hash.h"

#include "common/digest/sha256.h"

namespace diptych {

std::string ConditioningHash(const Conditioning& conditioning) {
  const ConditioningHeader& header = conditioning.header;
  Sha256 digest;
  digest.UpdateField("diptych conditioning 1");
  digest.UpdateField(header.model_fingerprint);
  digest.UpdateField(header.tokenizer_fingerprint);
  digest.UpdateField(header.input_sha256);
  digest.UpdateField(std::to_string(header.token_count));
  digest.UpdateField(std::to_string(header.layer));
  digest.UpdateField(LongPromptModeName(header.long_prompt_mode));
  digest.UpdateField(StateDtypeName(header.dtype));
  digest.UpdateField(std::to_string(header.rows));
  digest.UpdateField(std::to_string(header.width));
  digest.Update(conditioning.bytes.data(), conditioning.bytes.size());
  return digest.HexDigest();
}

}  // namespace diptych
