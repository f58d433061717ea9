#include "common/conditioning/encode_input_hash.h"

#include "common/digest/sha256.h"

namespace diptych {

std::string EncodeInputHash(const EncodeInput& input) { return Sha256Hex(input.text); }

}  // namespace diptych
