// The older form of a tokenizer: vocab.json and merges.txt, with the added tokens in tokenizer_config.json
// (added_tokens_decoder), in added_tokens.json, or in both.
#pragma once

#include <optional>
#include <string>

#include "common/tokenizer/tokenizer_model.h"

namespace diptych {

// A file that has been read: its text, and its name for errors.
struct TextFile {
  std::string name;
  std::string text;
};

struct VocabFiles {
  TextFile vocab;                        // {"token": id, ...}
  TextFile merges;                       // one "left right" a line, by rank; an optional first line "#version: ..."
  std::optional<TextFile> config;        // tokenizer_config.json
  std::optional<TextFile> added_tokens;  // {"<think>": 151667, ...}
};

// Normaliser and split are Qwen's: these files do not state them. At least one added token is needed: without them the
// control tokens of the chat format would be read as words. Throws Error(kDataLoss) or Error(kInvalidArgument) naming
// file and field (or line).
TokenizerModel ReadVocabFiles(const VocabFiles& files);

}  // namespace diptych
