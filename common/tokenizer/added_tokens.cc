#include "common/tokenizer/added_tokens.h"

namespace diptych {

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens) : nodes_(1) {
  for (const AddedToken& token : tokens) {
    uint32_t node = 0;
    for (const char byte : token.content) {
      const auto [next, is_new] = nodes_[node].next.try_emplace(byte, static_cast<uint32_t>(nodes_.size()));
      node = next->second;
      if (is_new) nodes_.emplace_back();
    }
    nodes_[node].id = token.id;
    starts_[static_cast<uint8_t>(token.content[0])] = true;
  }
}

std::vector<AddedTokenMatcher::Segment> AddedTokenMatcher::Split(std::string_view text) const {
  std::vector<Segment> segments;
  size_t plain = 0;  // where the ordinary text since the last token begins
  for (size_t start = 0; start < text.size();) {
    size_t length = 0;
    int64_t id = -1;
    if (starts_[static_cast<uint8_t>(text[start])]) {
      uint32_t node = 0;
      for (size_t at = start; at < text.size(); ++at) {
        const auto next = nodes_[node].next.find(text[at]);
        if (next == nodes_[node].next.end()) break;
        node = next->second;
        if (nodes_[node].id >= 0) {
          length = at + 1 - start;
          id = nodes_[node].id;
        }
      }
    }
    if (id < 0) {
      ++start;
      continue;
    }
    if (start > plain) segments.push_back({text.substr(plain, start - plain)});
    segments.push_back({text.substr(start, length), id});
    start += length;
    plain = start;
  }
  if (plain < text.size()) segments.push_back({text.substr(plain)});
  return segments;
}

}  // namespace diptych
