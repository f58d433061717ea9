#include "common/prompt/prompt_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "common/error/error.h"
#include "common/prompt/utf8.h"

namespace diptych {
namespace {

bool IsWhitespace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace

std::string CleanWhitespace(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  // White space waits here until a character follows it: what leads or trails is never written.
  std::string gap;
  size_t line_feeds = 0;  // how many the gap ends with
  for (size_t offset = 0; offset < text.size();) {
    const Utf8Character character = ReadUtf8Character(text, offset);
    if (character.code_point == U'\n') {
      ++line_feeds;
      if (line_feeds <= 2) gap += '\n';
    } else if (IsWhitespace(character.code_point)) {
      if (gap.empty() || gap.back() != ' ') gap += ' ';
      line_feeds = 0;
    } else {
      if (!clean.empty()) clean += gap;
      clean += text.substr(offset, character.bytes);
      gap.clear();
      line_feeds = 0;
    }
    offset += character.bytes;
  }
  return clean;
}

std::string RemoveQuotes(std::string_view text) {
  std::string kept(text);
  kept.erase(std::remove(kept.begin(), kept.end(), '"'), kept.end());
  return kept;
}

void CheckUtf8(std::string_view what, std::string_view text) {
  const size_t offset = FindInvalidUtf8(text);
  if (offset == std::string_view::npos) return;
  char byte[8];
  std::snprintf(byte, sizeof(byte), "0x%02X", static_cast<unsigned>(static_cast<uint8_t>(text[offset])));
  throw Error(ErrorCode::kInvalidArgument, std::string(what) + " is not valid UTF-8: byte " + byte + " at offset " +
                                               std::to_string(offset) + " does not begin or complete a character");
}

}  // namespace diptych
