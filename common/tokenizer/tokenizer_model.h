// What the files of a tokenizer state, checked once: everything behind it relies on these facts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/tokenizer/added_tokens.h"
#include "common/tokenizer/bpe.h"
#include "common/tokenizer/token_files.h"

namespace diptych {

// As read: tokens in the printable alphabet, nothing checked but the types. The names are for errors: file and field.
struct TokenizerTables {
  std::string vocab_name;
  std::vector<std::pair<std::string, int64_t>> vocab;
  std::string merges_name;
  std::vector<std::pair<std::string, std::string>> merges;
  AddedTokenList added;
};

struct TokenizerModel {
  std::vector<std::string> vocabulary;   // the bytes of each token, by id
  std::array<int32_t, 256> byte_ids{};   // the token of each single byte
  std::vector<BpeMerge> merges;          // by rank
  std::vector<AddedToken> added_tokens;  // by id; behind the vocabulary without a gap, or entries of it
  bool composes = true;                  // text is brought to NFC first
  std::vector<std::string> warnings;     // one line each
};

// "left right", as files write a merge: both sides. nullopt unless there is exactly one space; tokens hold none.
std::optional<std::pair<std::string, std::string>> SplitMerge(std::string_view merge);

// Throws Error(kInvalidArgument) naming file and field unless
//   the vocabulary's ids are 0 .. n-1, each once, and every single byte has a token (so no text is ever dropped);
//   both sides of every merge and its result are in the vocabulary, and no merge occurs twice;
//   added tokens have text, no two share text or id, and one whose text or id is in the vocabulary agrees with it.
// Added tokens behind the vocabulary get ids without a gap, in the order of their stated ids, as the tokenizers library
// counts them; a warning names those for which that is another one.
TokenizerModel MakeTokenizerModel(const TokenizerTables& tables);

}  // namespace diptych
