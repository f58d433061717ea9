// Byte-pair encoding of one piece (tokenizers, models/bpe/word.rs).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace diptych {

// Two neighbouring tokens that become one. The position in the list of merges is the rank: lower ranks go first.
struct BpeMerge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t result = 0;
};

// Immutable; Encode may run on several threads, each with its own Scratch.
class Bpe {
 public:
  // byte_ids: the token of each single byte. No pair may occur twice among the merges.
  Bpe(const std::array<int32_t, 256>& byte_ids, std::vector<BpeMerge> merges);

  const std::vector<BpeMerge>& merges() const { return merges_; }

  struct Symbol {
    int32_t id;            // -1: merged into its left neighbour
    uint32_t left, right;  // neighbours by index, kNone at the ends
  };
  // Memory that Encode uses again from piece to piece.
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<uint64_t> heap;
  };

  // Appends the tokens of the piece: starting with one token a byte, the neighbouring pair of the lowest rank is
  // merged, the leftmost first among equals, until no pair is in the list. O(n log n). Pieces are shorter than 4 GiB.
  void Encode(std::string_view piece, Scratch& scratch, std::vector<int64_t>& ids) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  // The rank of the pair, kNone when it is not in the list.
  uint32_t RankOf(int32_t left, int32_t right) const;
  size_t SlotOf(uint64_t pair) const;

  std::array<int32_t, 256> byte_ids_;
  std::vector<BpeMerge> merges_;
  // Open addressing with linear probing, a power of two at least twice as large as the list: a pair is looked up three
  // times for every merge, and this is what tokenising spends its time on.
  struct Slot {
    uint64_t pair = UINT64_MAX;
    uint32_t rank = kNone;
  };
  std::vector<Slot> slots_;
};

}  // namespace diptych
