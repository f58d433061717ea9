#include "coordinator/cli/shown_text.h"

#include <iomanip>
#include <sstream>

#include "gtest/gtest.h"

namespace diptych {
namespace {

class ShownTextTest : public testing::Test {
 protected:
  std::ostringstream target_;
  ShownText shown_{target_};
  std::ostream out_{&shown_};
};

TEST_F(ShownTextTest, PassesTextOnAsItIs) {
  out_ << "a \xE4\xB8\xAD " << 7 << '\n' << std::setw(3) << 5 << std::endl;
  EXPECT_EQ(target_.str(), "a \xE4\xB8\xAD 7\n  5\n");
}

TEST_F(ShownTextTest, LetsNothingThroughThatATerminalObeys) {
  out_ << "\x1b[2J\x9b\xC2\x9B" << '\r' << "\xE2\x80\xAE" << std::endl;
  EXPECT_EQ(target_.str(), "\\x1b[2J\\x9b\\xc2\\x9b\\r\\u202e\n");
}

TEST_F(ShownTextTest, PutsCharactersTogetherThatComeInPieces) {
  for (const char byte : std::string("\xE4\xB8\xAD \xC2\x9B")) out_ << byte;
  out_ << std::flush;
  EXPECT_EQ(target_.str(), "\xE4\xB8\xAD \\xc2\\x9b");
}

TEST_F(ShownTextTest, PassesALongLineOnInPiecesWithoutTearingACharacter) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "\xE4\xB8\xAD";
  for (size_t at = 0; at < text.size(); at += 1000) out_ << text.substr(at, 1000);
  EXPECT_FALSE(target_.str().empty()) << "it does not wait for the end of the line";
  out_ << std::flush;
  EXPECT_EQ(target_.str(), text);
}

TEST_F(ShownTextTest, ControlSequencesOfOursGoThrough) {
  out_ << "\x1b";
  WriteControl(out_, "\r\x1b[K");
  EXPECT_EQ(target_.str(), "\\x1b\r\x1b[K");
  std::ostringstream plain;
  WriteControl(plain, "\r");
  EXPECT_EQ(plain.str(), "\r");
}

TEST_F(ShownTextTest, TellsThatNothingCanBeWritten) {
  target_.setstate(std::ios::badbit);
  out_ << "x";
  EXPECT_FALSE(out_.flush());
}

}  // namespace
}  // namespace diptych
