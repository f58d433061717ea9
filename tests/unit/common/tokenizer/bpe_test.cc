#include "common/tokenizer/bpe.h"

#include <map>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace diptych {
namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;

// Byte b has the id b; merges are given as texts and get the ids from 256 on.
class Vocabulary {
 public:
  explicit Vocabulary(const Merges& merges) {
    for (int byte = 0; byte < 256; ++byte) Add(std::string(1, static_cast<char>(byte)));
    for (const auto& [left, right] : merges) {
      const int32_t result = Add(left + right);
      merges_.push_back({ids_.at(left), ids_.at(right), result});
    }
  }

  Bpe MakeBpe() const {
    std::array<int32_t, 256> byte_ids;
    for (int byte = 0; byte < 256; ++byte) byte_ids[byte] = byte;
    return Bpe(byte_ids, merges_);
  }

  // The tokens of the piece with spaces between.
  std::string Encode(const std::string& piece) const {
    Bpe::Scratch scratch;
    std::vector<int64_t> ids;
    MakeBpe().Encode(piece, scratch, ids);
    return Join(ids);
  }

  // The definition, word for word: quadratic and obviously right.
  std::string EncodePlainly(const std::string& piece) const {
    std::vector<int64_t> ids;
    for (const char byte : piece) ids.push_back(static_cast<uint8_t>(byte));
    for (;;) {
      size_t best_rank = merges_.size(), best_at = 0;
      for (size_t at = 0; at + 1 < ids.size(); ++at) {
        for (size_t rank = 0; rank < best_rank; ++rank) {
          if (merges_[rank].left == ids[at] && merges_[rank].right == ids[at + 1]) {
            best_rank = rank;
            best_at = at;
          }
        }
      }
      if (best_rank == merges_.size()) return Join(ids);
      ids[best_at] = merges_[best_rank].result;
      ids.erase(ids.begin() + best_at + 1);
    }
  }

 private:
  int32_t Add(const std::string& text) {
    const auto [entry, is_new] = ids_.try_emplace(text, static_cast<int32_t>(texts_.size()));
    if (is_new) texts_.push_back(text);
    return entry->second;
  }

  std::string Join(const std::vector<int64_t>& ids) const {
    std::string joined;
    for (const int64_t id : ids) joined.append(joined.empty() ? 0 : 1, ' ').append(texts_[id]);
    return joined;
  }

  std::map<std::string, int32_t> ids_;
  std::vector<std::string> texts_;
  std::vector<BpeMerge> merges_;
};

TEST(Bpe, MergesTheLowestRankFirst) {
  EXPECT_EQ(Vocabulary(Merges{{"b", "c"}, {"a", "b"}}).Encode("abc"), "a bc");
  EXPECT_EQ(Vocabulary(Merges{{"a", "b"}, {"b", "c"}}).Encode("abc"), "ab c");
}

TEST(Bpe, MergesTheLeftmostOfEqualPairs) {
  EXPECT_EQ(Vocabulary(Merges{{"a", "a"}}).Encode("aaa"), "aa a");
  EXPECT_EQ(Vocabulary(Merges{{"a", "a"}}).Encode("aaaaa"), "aa aa a");
  EXPECT_EQ(Vocabulary(Merges{{"a", "a"}, {"aa", "a"}}).Encode("aaa"), "aaa");
  EXPECT_EQ(Vocabulary(Merges{{"a", "b"}, {"b", "a"}}).Encode("abab"), "ab ab");
}

TEST(Bpe, GoesOnWithWhatMergesMade) {
  const Vocabulary vocabulary(Merges{{"a", "t"}, {" ", "c"}, {" c", "at"}});
  EXPECT_EQ(vocabulary.Encode(" cat"), " cat");
  EXPECT_EQ(vocabulary.Encode("cat"), "c at");
}

// "abc" is a token, but no path of merges leads there.
TEST(Bpe, DoesNotTakeAWholePieceForATokenWithoutTheMerges) {
  EXPECT_EQ(Vocabulary(Merges{{"b", "c"}, {"a", "b"}, {"ab", "c"}}).Encode("abc"), "a bc");
}

TEST(Bpe, LeavesSingleBytesAndNothingAsTheyAre) {
  EXPECT_EQ(Vocabulary(Merges{{"a", "b"}}).Encode(""), "");
  EXPECT_EQ(Vocabulary(Merges{{"a", "b"}}).Encode("a"), "a");
  EXPECT_EQ(Vocabulary(Merges{}).Encode("ab"), "a b");
}

TEST(Bpe, AppendsAndUsesItsScratchAgain) {
  const Bpe bpe = Vocabulary(Merges{{"a", "b"}}).MakeBpe();
  Bpe::Scratch scratch;
  std::vector<int64_t> ids{7};
  bpe.Encode("abab", scratch, ids);
  bpe.Encode("c", scratch, ids);
  bpe.Encode("ab", scratch, ids);
  EXPECT_EQ(ids, (std::vector<int64_t>{7, 256, 256, 'c', 256}));
}

TEST(Bpe, AgreesWithTheDefinitionOnRandomMergesAndTexts) {
  std::mt19937 random(7);
  const auto below = [&](size_t end) { return random() % end; };
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> tokens{"a", "b", "c"};
    std::map<std::pair<std::string, std::string>, bool> used;
    Merges merges;
    for (int i = 0; i < 25; ++i) {
      const std::pair<std::string, std::string> merge{tokens[below(tokens.size())], tokens[below(tokens.size())]};
      if (!used.try_emplace(merge, true).second) continue;
      merges.push_back(merge);
      tokens.push_back(merge.first + merge.second);
    }
    const Vocabulary vocabulary(merges);
    std::string text;
    for (int i = 0; i < 60; ++i) text += static_cast<char>('a' + below(3));
    ASSERT_EQ(vocabulary.Encode(text), vocabulary.EncodePlainly(text)) << "round " << round;
  }
}

}  // namespace
}  // namespace diptych
