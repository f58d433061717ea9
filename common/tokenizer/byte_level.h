// The printable alphabet in which byte-level vocabularies are written: one code point for each of the 256 bytes
// (GPT-2's bytes_to_unicode). Files are decoded to raw bytes when they are read; everything after that works on bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace diptych {

// 0x21..0x7E, 0xA1..0xAC and 0xAE..0xFF stand for themselves; the other 68, in ascending order, are U+0100..U+0143.
char32_t ByteToPrintable(uint8_t byte);

// The bytes that a printable token of a vocabulary stands for; nothing if a character is not of the alphabet.
// The text is valid UTF-8.
std::optional<std::string> DecodePrintable(std::string_view text);

}  // namespace diptych
