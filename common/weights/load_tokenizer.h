// The tokenizer of a checkpoint, wherever it stands.
#pragma once

#include <string>

#include "common/tokenizer/bpe_tokenizer.h"

namespace diptych {

// `place`: a folder, as for BpeTokenizer::Load, or a GGUF file that carries one, as FindTokenizer names them. Every
// file is noted as read (files_read.h). Throws Error: what BpeTokenizer::Load and GgufFile::Open throw, and
// kInvalidArgument for a GGUF file without a tokenizer or with one that ReadGgufTokens refuses.
BpeTokenizer LoadTokenizer(const std::string& place);

}  // namespace diptych
