#include "common/tokenizer/byte_level.h"

#include <array>

#include "common/prompt/utf8.h"

namespace diptych {
namespace {

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<char32_t, 256> MakePrintables() {
  std::array<char32_t, 256> printables{};
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte)
    printables[byte] = StandsForItself(byte) ? static_cast<char32_t>(byte) : next++;
  return printables;
}

constexpr std::array<char32_t, 256> kPrintables = MakePrintables();
constexpr char32_t kPrintableEnd = 0x144;

// code point -> byte, -1 outside the alphabet.
constexpr std::array<int, kPrintableEnd> MakeBytes() {
  std::array<int, kPrintableEnd> bytes{};
  for (int& byte : bytes) byte = -1;
  for (int byte = 0; byte < 256; ++byte) bytes[kPrintables[byte]] = byte;
  return bytes;
}

constexpr std::array<int, kPrintableEnd> kBytes = MakeBytes();

}  // namespace

char32_t ByteToPrintable(uint8_t byte) { return kPrintables[byte]; }

std::optional<std::string> DecodePrintable(std::string_view text) {
  std::string bytes;
  for (size_t offset = 0; offset < text.size();) {
    const Utf8Character character = ReadUtf8Character(text, offset);
    if (character.code_point >= kPrintableEnd || kBytes[character.code_point] < 0) return std::nullopt;
    bytes += static_cast<char>(kBytes[character.code_point]);
    offset += character.bytes;
  }
  return bytes;
}

}  // namespace diptych
