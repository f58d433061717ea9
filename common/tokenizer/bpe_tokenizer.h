// Text to token ids and back, as Qwen's tokenizer does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/concurrency/pause.h"
#include "common/tokenizer/added_tokens.h"
#include "common/tokenizer/bpe.h"
#include "common/tokenizer/gguf_tokens.h"
#include "common/tokenizer/pre_tokenizer.h"
#include "common/tokenizer/tokenizer_model.h"

namespace diptych {

// Immutable; all const members may run on several threads.
class BpeTokenizer {
 public:
  // Reads FOLDER/tokenizer.json, or vocab.json and merges.txt; and the added tokens beside them (token_files.h).
  // Throws Error(kNotFound) when neither is there, Error(kDataLoss) for a damaged file, and Error(kInvalidArgument)
  // naming file and field for one that asks for another pipeline or contradicts itself.
  static BpeTokenizer Load(const std::string& folder);

  // The same from the text of a tokenizer.json; `name` stands for the file in errors.
  static BpeTokenizer FromTokenizerJson(std::string_view json, const std::string& name);

  // The same from the metadata of a GGUF file, as ReadGgufTokens.
  static BpeTokenizer FromGguf(const GgufTokens& tokens);

  // Token ids of the text; nothing is added in front or behind. Added tokens are found in the raw text, the rest is
  // composed (NFC, where the files say so) segment by segment, split and merged. Throws Error(kInvalidArgument) for
  // invalid UTF-8 and for more than 256 MiB. Pauses once in about 64 KiB of pieces.
  std::vector<int64_t> Encode(std::string_view text, const Pause& pause = {}) const;

  // The text of the tokens, U+FFFD where their bytes are not UTF-8. Ids without a token (unused rows of an embedding)
  // have no text. skip_special leaves out the special added tokens.
  std::string Decode(std::span<const int64_t> ids, bool skip_special) const;

  // One more than the greatest id.
  size_t vocabulary_size() const { return vocabulary_size_; }

  // All that decides what a text becomes, from whatever files it was read: equal for equal tokenizers. Megabytes.
  std::string Identity() const;

  // About the files, one line each.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  explicit BpeTokenizer(TokenizerModel model);

  std::vector<std::string> vocabulary_;  // bytes by id
  std::unordered_map<int64_t, AddedToken> added_by_id_;
  size_t vocabulary_size_ = 0;
  AddedTokenMatcher added_tokens_;             // found in the raw text
  AddedTokenMatcher normalized_added_tokens_;  // found in composed text
  bool composes_;                              // ordinary text, to NFC
  PreTokenizer pre_tokenizer_;
  Bpe bpe_;
  std::vector<std::string> warnings_;
};

}  // namespace diptych
