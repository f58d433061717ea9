// The added tokens of a tokenizer, put together from all files that may state some, as transformers 5 does it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/tokenizer/added_tokens.h"

namespace diptych {

// A file that has been read: its text, and its name for errors.
struct TextFile {
  std::string name;
  std::string text;
};

// In one file: each is looked up among the others. Published tokenizers have up to some thousand.
inline constexpr size_t kMostAddedTokens = 10'000;

// What stands beside tokenizer.json, or beside vocab.json and merges.txt.
struct TokenFiles {
  std::optional<TextFile> config;              // tokenizer_config.json
  std::optional<TextFile> special_tokens_map;  // special_tokens_map.json
  std::optional<TextFile> added_tokens;        // added_tokens.json: {"<think>": 151667, ...}
};

// The class that tokenizer_config.json names ("tokenizer_class"); empty: none. Throws as CollectAddedTokens.
std::string TokenizerClassOf(const TokenFiles& files);

struct AddedTokenList {
  std::string name;                   // where they stand: file and field
  std::vector<AddedToken> tokens;     // in the order in which they get their ids
  std::vector<std::string> warnings;  // one line each
};

// What tokenizer.json says of its own.
struct TokenizerJsonTokens {
  std::string name;  // file and field; empty: there is no tokenizer.json
  std::vector<AddedToken> tokens;
};

// added_tokens_decoder of tokenizer_config.json comes first, and where it is there neither added_tokens.json nor
// special_tokens_map.json counts; tokens that stand in tokenizer.json alone are kept. Special tokens that the
// configuration names (eos_token, ..., extra_special_tokens) and nobody else has get the next ids. Throws
// Error(kDataLoss) for what is no JSON, Error(kInvalidArgument) naming file and field for what would change the tokens
// in a way that we do not follow.
AddedTokenList CollectAddedTokens(const TokenizerJsonTokens& own, const TokenFiles& files);

}  // namespace diptych
