#include "common/http/body_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace diptych {
namespace {

using Progress = BodyReader::Progress;

struct Outcome {
  Progress progress = Progress::kNeedsMore;
  std::string body;
  std::string rest;
  bool operator==(const Outcome&) const = default;
};

Outcome Read(const std::string& bytes, std::optional<uint64_t> length, uint64_t limit, size_t at_a_time) {
  BodyReader reader(length, limit);
  Outcome outcome;
  std::string buffer;
  size_t next = 0;
  do {
    buffer += bytes.substr(next, at_a_time);
    next = std::min(bytes.size(), next + at_a_time);
    outcome.progress = reader.Read(&buffer);
  } while (outcome.progress == Progress::kNeedsMore && next < bytes.size());
  return {outcome.progress, reader.body(), buffer + bytes.substr(next)};
}

// At once and by single bytes.
Outcome Chunks(const std::string& bytes, uint64_t limit = 10) {
  const Outcome at_once = Read(bytes, std::nullopt, limit, bytes.size() + 1);
  const Outcome in_pieces = Read(bytes, std::nullopt, limit, 1);
  EXPECT_EQ(at_once.progress, in_pieces.progress) << bytes;
  if (at_once.progress == Progress::kDone) {
    EXPECT_EQ(at_once, in_pieces) << bytes;
  }
  return at_once;
}

TEST(BodyReader, TakesALengthAndNoByteMore) {
  EXPECT_EQ(Read("abcdef", 4, 4, 100), (Outcome{Progress::kDone, "abcd", "ef"}));
  EXPECT_EQ(Read("abcdef", 4, 4, 1), (Outcome{Progress::kDone, "abcd", "ef"}));
  EXPECT_EQ(Read("abc", 4, 4, 1).progress, Progress::kNeedsMore);
  EXPECT_EQ(Read("", 5, 4, 1).progress, Progress::kTooLarge) << "before a byte";
  EXPECT_EQ(Read("", ~uint64_t{0}, 4, 1).progress, Progress::kTooLarge);
}

TEST(BodyReader, JoinsChunks) {
  EXPECT_EQ(Chunks("3\r\nabc\r\n000A\r\n0123456789\r\n0\r\n\r\nrest", 13),
            (Outcome{Progress::kDone, "abc0123456789", "rest"}));
  EXPECT_EQ(Chunks("0\r\n\r\nrest"), (Outcome{Progress::kDone, "", "rest"}));
  EXPECT_EQ(Chunks("2\r\n\r\n\r\n00\r\n\r\n"), (Outcome{Progress::kDone, "\r\n", ""}));
  EXPECT_EQ(Chunks("3\r\nabc\r\n0\r\n\r").progress, Progress::kNeedsMore);
}

TEST(BodyReader, HoldsTheLimitForAllChunksTogether) {
  EXPECT_EQ(Chunks("5\r\nabcde\r\n5\r\nabcde\r\n0\r\n\r\n").progress, Progress::kDone);
  EXPECT_EQ(Chunks("5\r\nabcde\r\n6\r\n").progress, Progress::kTooLarge);
  EXPECT_EQ(Chunks("5\r\nabcde\r\nffffffffffffffff\r\n").progress, Progress::kTooLarge);
  EXPECT_EQ(Chunks("5\r\nabcde\r\nfffffffffffffffb\r\n").progress, Progress::kTooLarge) << "no sum overflows";
}

TEST(BodyReader, RefusesEveryOtherForm) {
  for (const char* bytes :
       {"1;a=b\r\nx\r\n0\r\n\r\n", "1\r\nx\r\n0;a\r\n\r\n", "-1\r\nx\r\n0\r\n\r\n", "+1\r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n", " 1\r\nx\r\n0\r\n\r\n", "1 \r\nx\r\n0\r\n\r\n", "1\nx\r\n0\r\n\r\n",
        "1\r\nxy\r\n0\r\n\r\n", "1\r\nx\n0\r\n\r\n", "\r\nx\r\n0\r\n\r\n", "g\r\n", "00000000000000001\r\nx\r\n",
        "1                    ", "0\r\nX: trailer\r\n\r\n"}) {
    EXPECT_EQ(Chunks(bytes).progress, Progress::kMalformed) << bytes;
  }
}

}  // namespace
}  // namespace diptych
