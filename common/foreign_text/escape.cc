#include "common/foreign_text/escape.h"

#include <algorithm>
#include <cstddef>

#include "common/prompt/utf8.h"

namespace diptych {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void AppendByte(unsigned char byte, std::string& text) {
  text += "\\x";
  text.push_back(kHex[byte >> 4]);
  text.push_back(kHex[byte & 15]);
}

// All controls are below U+10000.
void AppendCodePoint(char32_t code_point, std::string& text) {
  text += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) text.push_back(kHex[(code_point >> shift) & 15]);
}

bool IsPlainAscii(char c) { return c >= 0x20 && c < 0x7F; }

// Appends `text` with `escape(bytes, character)` in place of every control and damaged byte.
template <typename Escape>
std::string Escaped(std::string_view text, Escape&& escape) {
  std::string escaped;
  escaped.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (IsPlainAscii(text[at])) {
      const auto end = std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), IsPlainAscii);
      const size_t next = static_cast<size_t>(end - text.begin());
      escaped += text.substr(at, next - at);
      at = next;
      continue;
    }
    const Utf8Character character = ReadUtf8Character(text, at);
    const std::string_view bytes = text.substr(at, character.bytes);
    if (character.valid && !IsControl(character.code_point)) {
      escaped += bytes;
    } else {
      escape(bytes, character, escaped);
    }
    at += character.bytes;
  }
  return escaped;
}

std::string EscapedLine(std::string_view text, bool keeps_line_breaks) {
  return Escaped(text, [&](std::string_view bytes, const Utf8Character& character, std::string& escaped) {
    if (character.valid && character.code_point == '\n') {
      escaped += keeps_line_breaks ? "\n" : "\\n";
    } else if (character.valid && character.code_point == '\r') {
      escaped += "\\r";
    } else if (character.valid && character.code_point == '\t') {
      escaped += "\\t";
    } else if (character.valid && character.code_point > 0x9F) {
      AppendCodePoint(character.code_point, escaped);
    } else {
      for (const char byte : bytes) AppendByte(static_cast<unsigned char>(byte), escaped);
    }
  });
}

}  // namespace

bool IsControl(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

std::string EscapeText(std::string_view text) { return EscapedLine(text, /*keeps_line_breaks=*/false); }

std::string EscapeLines(std::string_view text) { return EscapedLine(text, /*keeps_line_breaks=*/true); }

std::string EscapeJson(std::string_view json) {
  return Escaped(json, [](std::string_view, const Utf8Character& character, std::string& escaped) {
    AppendCodePoint(character.valid ? character.code_point : 0xFFFD, escaped);
  });
}

}  // namespace diptych
