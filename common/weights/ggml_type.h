// ggml's number formats. Elements stand in blocks: a few numbers that share their scale, packed in a fixed number of
// bytes. A row of a tensor is a whole number of blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace diptych {

// Those that ggml_blocks.h decodes. kOther: one that it does not.
enum class GgmlType {
  F32,
  F16,
  BF16,
  F64,
  I8,
  I16,
  I32,
  I64,
  Q8_0,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K,
  IQ4_NL,
  IQ4_XS,
  kOther
};

struct GgmlTypeFacts {
  GgmlType type;           // kOther: ggml has it, or had it
  uint32_t number;         // in a file
  std::string_view name;   // as ggml spells it, "Q4_K"
  int64_t block_elements;  // 1: no blocks; 0: ggml itself does not read it any more
  int64_t block_bytes;
};

const GgmlTypeFacts& FactsOf(GgmlType type);              // which is not kOther
const GgmlTypeFacts* FactsOfGgmlNumber(uint32_t number);  // nullptr: ggml has no type of that number

// Of a tensor, row-major; an empty shape is a scalar. nullopt: a negative dimension, rows that are no whole number of
// blocks, a type without block_elements, 2^63 elements or 2^64 bytes and more.
std::optional<uint64_t> ByteCount(std::span<const int64_t> shape, const GgmlTypeFacts& facts);

}  // namespace diptych
