// The older form of a tokenizer: vocab.json and merges.txt, with the added tokens in the files beside them.
#pragma once

#include "common/tokenizer/token_files.h"
#include "common/tokenizer/tokenizer_model.h"

namespace diptych {

struct VocabFiles {
  TextFile vocab;     // {"token": id, ...}
  TextFile merges;    // one "left right" a line, by rank; an optional first line "#version: ..."
  TokenFiles beside;  // without it there are no added tokens
};

// Normaliser and split are Qwen's: these files do not state them. At least one added token is needed: without them the
// control tokens of the chat format would be read as words. Throws Error(kDataLoss) or Error(kInvalidArgument) naming
// file and field (or line).
TokenizerModel ReadVocabFiles(const VocabFiles& files);

}  // namespace diptych
