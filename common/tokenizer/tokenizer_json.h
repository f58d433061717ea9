// tokenizer.json, as the tokenizers library writes it (for Qwen2Tokenizer of transformers).
#pragma once

#include <string>
#include <string_view>

#include "common/tokenizer/token_files.h"
#include "common/tokenizer/tokenizer_model.h"

namespace diptych {

class JsonPlace;

// Reads the one pipeline that we implement: added tokens, NFC, Qwen's split, byte-level BPE; nothing added behind.
// `name` is the file's name for errors. Throws Error(kDataLoss) when the text is not JSON, Error(kInvalidArgument)
// naming the field when the file asks for anything else. `beside` are the files that may name more added tokens.
TokenizerModel ReadTokenizerJson(std::string_view json, const std::string& name, const TokenFiles& beside = {});

// The parts that vocab.json and tokenizer_config.json share with it.
std::vector<std::pair<std::string, int64_t>> ReadVocab(const JsonPlace& vocab);
// `id` comes from the object itself or, in tokenizer_config.json, from its key.
AddedToken ReadAddedToken(const JsonPlace& token, int64_t id);

}  // namespace diptych
