#include "common/tokenizer/byte_level.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(ByteLevel, GivesEveryByteItsOwnPrintable) {
  std::set<char32_t> seen;
  for (int byte = 0; byte < 256; ++byte) seen.insert(ByteToPrintable(static_cast<uint8_t>(byte)));
  EXPECT_EQ(seen.size(), 256u);
}

TEST(ByteLevel, KeepsPrintableBytesAndMovesTheOther68UpInOrder) {
  for (const int byte : {0x21, 0x7E, 0xA1, 0xAC, 0xAE, 0xFF})
    EXPECT_EQ(ByteToPrintable(byte), static_cast<char32_t>(byte));
  EXPECT_EQ(ByteToPrintable(0x00), 0x100u);
  EXPECT_EQ(ByteToPrintable('\t'), 0x109u);
  EXPECT_EQ(ByteToPrintable('\n'), 0x10Au);
  EXPECT_EQ(ByteToPrintable('\r'), 0x10Du);
  EXPECT_EQ(ByteToPrintable(' '), 0x120u);
  EXPECT_EQ(ByteToPrintable(0x7F), 0x121u);
  EXPECT_EQ(ByteToPrintable(0xA0), 0x142u);
  EXPECT_EQ(ByteToPrintable(0xAD), 0x143u);
}

TEST(ByteLevel, DecodesTokensToTheirBytes) {
  EXPECT_EQ(DecodePrintable(""), "");
  EXPECT_EQ(DecodePrintable("\u0120cat"), " cat");
  EXPECT_EQ(DecodePrintable("\u00e7\u012e\u00ab"), "\u732b");
  EXPECT_EQ(DecodePrintable("\u010a\u010d\u0109\u0100"), std::string("\n\r\t\0", 4));
}

TEST(ByteLevel, RefusesCharactersOutsideTheAlphabet) {
  for (const char* text : {" ", "\n", "a b", "\u0144", "\u00a0", "\u00ad", "\u732b", "\x7f", "\U0001f431"}) {
    EXPECT_EQ(DecodePrintable(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace diptych
