// A small tokenizer of Qwen's kind: 256 bytes, a few dozen merges, the 26 added tokens of Qwen3.
#pragma once

#include <cstdint>
#include <string>

namespace diptych::random_checkpoint {

// tokenizer/tokenizer.json and tokenizer/tokenizer_config.json.
std::string TokenizerJson();
std::string TokenizerConfigJson();

int64_t TokenCount();                              // ids run from 0 to TokenCount() - 1
int64_t AddedTokenId(const std::string& content);  // e.g. of "<|im_end|>"; throws Error(kInternal) for another text

}  // namespace diptych::random_checkpoint
