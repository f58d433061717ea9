// Tokens that are recognised in the raw text, before anything else looks at it: <|im_end|>, <think>, ...
// (qwen3.md 2.6).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace diptych {

struct AddedToken {
  int64_t id = 0;
  std::string content;   // not empty
  bool special = false;  // left out of decoded text on request; encoding treats both kinds alike

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

  // Cuts at the leftmost match each time, taking the longest token that starts there. No empty segments. Views into the
  // text. Time: at most the length of the text times that of the longest token.
  std::vector<Segment> Split(std::string_view text) const;

 private:
  // A tree of the tokens' bytes; node 0 is the root.
  struct Node {
    std::unordered_map<char, uint32_t> next;
    int64_t id = -1;
  };
  std::vector<Node> nodes_;
  std::array<bool, 256> starts_{};  // bytes with which a token begins
};

}  // namespace diptych
