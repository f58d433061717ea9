#include "common/tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

namespace diptych {
namespace {

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// A merge that could be made: ordered by rank, then by position.
uint64_t Candidate(uint32_t rank, uint32_t position) { return static_cast<uint64_t>(rank) << 32 | position; }

}  // namespace

Bpe::Bpe(const std::array<int32_t, 256>& byte_ids, std::vector<BpeMerge> merges)
    : byte_ids_(byte_ids), merges_(std::move(merges)), slots_(std::bit_ceil(2 * merges_.size() + 1)) {
  for (uint32_t rank = 0; rank < merges_.size(); ++rank) {
    const uint64_t pair = PairKey(merges_[rank].left, merges_[rank].right);
    slots_[SlotOf(pair)] = {pair, rank};
  }
}

// Where the pair is, or the free slot where it belongs.
size_t Bpe::SlotOf(uint64_t pair) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = (pair * 0x9E3779B97F4A7C15u >> 32) & mask;
  while (slots_[slot].rank != kNone && slots_[slot].pair != pair) slot = (slot + 1) & mask;
  return slot;
}

uint32_t Bpe::RankOf(int32_t left, int32_t right) const { return slots_[SlotOf(PairKey(left, right))].rank; }

void Bpe::Encode(std::string_view piece, Scratch& scratch, std::vector<int64_t>& ids) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  std::vector<uint64_t>& heap = scratch.heap;
  const auto count = static_cast<uint32_t>(piece.size());
  symbols.resize(count);
  heap.clear();
  for (uint32_t i = 0; i < count; ++i) {
    symbols[i] = {byte_ids_[static_cast<uint8_t>(piece[i])], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  }
  for (uint32_t i = 0; i + 1 < count; ++i) {
    const uint32_t rank = RankOf(symbols[i].id, symbols[i + 1].id);
    if (rank != kNone) heap.push_back(Candidate(rank, i));
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());

  const auto propose = [&](uint32_t left, uint32_t right) {
    if (left == kNone || right == kNone) return;
    const uint32_t rank = RankOf(symbols[left].id, symbols[right].id);
    if (rank == kNone) return;
    heap.push_back(Candidate(rank, left));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const BpeMerge& merge = merges_[heap.back() >> 32];
    const auto left = static_cast<uint32_t>(heap.back());
    heap.pop_back();
    // Stale: one of the two has been merged with something else since.
    const uint32_t right = symbols[left].right;
    if (symbols[left].id != merge.left || right == kNone || symbols[right].id != merge.right) continue;

    symbols[left].id = merge.result;
    symbols[left].right = symbols[right].right;
    symbols[right].id = -1;
    if (symbols[left].right != kNone) symbols[symbols[left].right].left = left;
    propose(symbols[left].left, left);
    propose(left, symbols[left].right);
  }
  for (const Symbol& symbol : symbols) {
    if (symbol.id >= 0) ids.push_back(symbol.id);
  }
}

}  // namespace diptych
