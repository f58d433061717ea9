// Reading UTF-8 one character at a time, as Unicode 3.9 (table 3-7) defines it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace diptych {

struct Utf8Character {
  char32_t code_point = 0xFFFD;  // U+FFFD when not valid
  size_t bytes = 0;              // when not valid: the longest damaged part, which one U+FFFD replaces
  bool valid = false;
};

// The character that starts at text[offset]; offset < text.size().
Utf8Character ReadUtf8Character(std::string_view text, size_t offset);

// Offset of the first byte that is not part of a well-formed character; std::string_view::npos when there is none.
size_t FindInvalidUtf8(std::string_view text);

// The text with U+FFFD for every damaged part.
std::string ReplaceInvalidUtf8(std::string_view text);

}  // namespace diptych
