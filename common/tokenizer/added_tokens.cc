#include "common/tokenizer/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>

#include "common/prompt/utf8.h"

namespace diptych {
namespace {

// The reference's \s: Unicode's White_Space.
bool IsSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// The reference's \w: alphabetic characters, marks, decimal digits, connectors and joiners.
bool IsOfWord(char32_t c) {
  if (c == 0x200C || c == 0x200D) return true;
  if ((c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
      (c >= 0x1F170 && c <= 0x1F189)) {
    return true;  // letters in circles and squares
  }
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

Utf8Character LastCharacter(std::string_view text) {  // not empty
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return ReadUtf8Character(text, begin);
}

bool StartsWithWord(std::string_view text) { return !text.empty() && IsOfWord(ReadUtf8Character(text, 0).code_point); }
bool EndsWithWord(std::string_view text) { return !text.empty() && IsOfWord(LastCharacter(text).code_point); }

size_t SpacesAtStart(std::string_view text) {  // bytes
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Character c = ReadUtf8Character(text, at);
    if (!IsSpace(c.code_point)) break;
    at += c.bytes;
  }
  return at;
}

size_t WithoutSpacesAtEnd(std::string_view text) {  // bytes
  while (!text.empty()) {
    const Utf8Character c = LastCharacter(text);
    if (!IsSpace(c.code_point)) break;
    text.remove_suffix(c.bytes);
  }
  return text.size();
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens) : tokens_(tokens), nodes_(1) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    uint32_t node = 0;
    for (const char byte : tokens_[i].content) {
      const auto [next, is_new] = nodes_[node].next.try_emplace(byte, static_cast<uint32_t>(nodes_.size()));
      node = next->second;
      if (is_new) nodes_.emplace_back();
    }
    if (nodes_[node].token < 0) nodes_[node].token = static_cast<int32_t>(i);
    starts_[static_cast<uint8_t>(tokens_[i].content[0])] = true;
  }
}

std::vector<AddedTokenMatcher::Segment> AddedTokenMatcher::Split(std::string_view text) const {
  std::vector<Segment> segments;
  size_t plain = 0;  // where the ordinary text since the last token begins
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    int32_t found = -1;
    if (starts_[static_cast<uint8_t>(text[at])]) {
      uint32_t node = 0;
      for (size_t look = at; look < text.size(); ++look) {
        const auto next = nodes_[node].next.find(text[look]);
        if (next == nodes_[node].next.end()) break;
        node = next->second;
        if (nodes_[node].token >= 0) {
          end = look + 1;
          found = nodes_[node].token;
        }
      }
    }
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    size_t first = at, last = end;
    at = end;
    if (token.single_word && (EndsWithWord(text.substr(0, first)) || StartsWithWord(text.substr(last)))) continue;
    // Spaces that the token before has taken are gone.
    if (token.lstrip) first = std::max(plain, WithoutSpacesAtEnd(text.substr(0, first)));
    if (token.rstrip) last += SpacesAtStart(text.substr(last));
    if (plain < first) segments.push_back({text.substr(plain, first - plain)});
    segments.push_back({text.substr(std::min(first, last), last - std::min(first, last)), token.id});
    plain = last;
  }
  if (plain < text.size()) segments.push_back({text.substr(plain)});
  return segments;
}

}  // namespace diptych
