// The identity of what was encoded.
#pragma once

#include <string>

#include "common/prompt/encode_input.h"

namespace diptych {

// What keys and the headers of rows name the input by: 64 hex digits. Of text alone the SHA-256 of its bytes, which is
// what stored rows, saved embeddings and earlier versions on the wire have.
std::string EncodeInputHash(const EncodeInput& input);

}  // namespace diptych
