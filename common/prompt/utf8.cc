#include "common/prompt/utf8.h"

#include <cstdint>

namespace diptych {
namespace {

// What a lead byte promises: how many bytes follow it, and the range of the first of them. That range excludes overlong
// forms (E0, F0), surrogates (ED) and values above U+10FFFF (F4). Later bytes are always 80..BF.
struct Lead {
  int following;
  uint8_t low, high;
};

Lead ReadLead(uint8_t byte) {
  if (byte < 0x80) return {0, 0, 0};
  if (byte < 0xC2) return {-1, 0, 0};
  if (byte < 0xE0) return {1, 0x80, 0xBF};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte < 0xF0) return {2, 0x80, 0xBF};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte < 0xF4) return {3, 0x80, 0xBF};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {-1, 0, 0};
}

}  // namespace

Utf8Character ReadUtf8Character(std::string_view text, size_t offset) {
  const auto first = static_cast<uint8_t>(text[offset]);
  const Lead lead = ReadLead(first);
  if (lead.following == 0) return {first, 1, true};
  if (lead.following < 0) return {0xFFFD, 1, false};
  char32_t code_point = first & (0x3F >> lead.following);
  uint8_t low = lead.low, high = lead.high;
  for (int i = 1; i <= lead.following; ++i) {
    const size_t at = offset + i;
    const uint8_t byte = at < text.size() ? static_cast<uint8_t>(text[at]) : 0;
    if (byte < low || byte > high) return {0xFFFD, static_cast<size_t>(i), false};
    code_point = code_point << 6 | (byte & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {code_point, static_cast<size_t>(lead.following) + 1, true};
}

size_t FindInvalidUtf8(std::string_view text) {
  for (size_t offset = 0; offset < text.size();) {
    const Utf8Character character = ReadUtf8Character(text, offset);
    if (!character.valid) return offset;
    offset += character.bytes;
  }
  return std::string_view::npos;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (size_t offset = 0; offset < text.size();) {
    const Utf8Character character = ReadUtf8Character(text, offset);
    clean += character.valid ? text.substr(offset, character.bytes) : "\uFFFD";
    offset += character.bytes;
  }
  return clean;
}

}  // namespace diptych
