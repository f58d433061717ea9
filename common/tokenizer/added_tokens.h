// Tokens that are recognised in the text, before anything cuts it: <|im_end|>, <think>, ...
// Source: tokenizers 0.23, AddedToken; the ids are checked against transformers by
// tests/parity/data/golden_added_tokens.json.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace diptych {

struct AddedToken {
  static constexpr int64_t kNextFree = INT64_MIN;

  int64_t id = 0;            // kNextFree before ids are assigned: the next one
  std::string content;       // not empty
  bool special = false;      // left out of decoded text on request; encoding treats both kinds alike
  bool lstrip = false;       // takes the whitespace before it
  bool rstrip = false;       // takes the whitespace behind it
  bool single_word = false;  // only between characters that are none of words
  bool normalized = false;   // looked for in composed text (NFC), after the others

  bool operator==(const AddedToken&) const = default;
};

// Immutable; may be used on several threads.
class AddedTokenMatcher {
 public:
  explicit AddedTokenMatcher(const std::vector<AddedToken>& tokens);

  // A stretch of ordinary text, or one added token.
  struct Segment {
    std::string_view text;
    int64_t id = -1;  // -1: ordinary text
  };

  // Cuts at the leftmost match each time, taking the longest token that starts there; a match that is no single word,
  // though it should be, is passed by. No empty segments of text. Views into the text, which is valid UTF-8. Time: at
  // most the length of the text times that of the longest token. Whatever `normalized` says: the caller gives each text
  // to the matcher that it is for.
  std::vector<Segment> Split(std::string_view text) const;

  bool empty() const { return tokens_.empty(); }

 private:
  // A tree of the tokens' bytes; node 0 is the root.
  struct Node {
    std::unordered_map<char, uint32_t> next;
    int32_t token = -1;  // index
  };
  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  std::array<bool, 256> starts_{};  // bytes with which a token begins
};

}  // namespace diptych
