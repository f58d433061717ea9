// The number formats of tensors, in whatever container they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace diptych {

// Those from Q8_0 on are ggml's: elements stand in blocks, a few numbers that share their scale, packed in a fixed
// number of bytes, and a row of a tensor is a whole number of blocks. kOther: a format that is not in this list; a file
// that has a tensor of it is read all the same, the tensor is not.
enum class Dtype {
  F64,
  F32,
  F16,
  BF16,
  F8_E4M3,
  F8_E5M2,
  I64,
  I32,
  I16,
  I8,
  U64,
  U32,
  U16,
  U8,
  BOOL,
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

struct DtypeFacts {
  Dtype dtype;
  std::string_view name;   // as safetensors and ggml spell it, "BF16", "Q4_K"; kOther: ""
  int64_t block_elements;  // 1: no blocks
  int64_t block_bytes;     // kOther: 0
};

const DtypeFacts& FactsOf(Dtype dtype);
std::span<const DtypeFacts> AllDtypes();  // but kOther

inline size_t ByteSize(Dtype dtype) {  // of one element; of one in blocks and kOther 0
  const DtypeFacts& facts = FactsOf(dtype);
  return facts.block_elements == 1 ? static_cast<size_t>(facts.block_bytes) : 0;
}
inline std::string_view DtypeName(Dtype dtype) { return FactsOf(dtype).name; }
// ggml's blocks.
inline bool IsInBlocks(Dtype dtype) { return FactsOf(dtype).block_elements > 1; }
inline bool IsFp8(Dtype dtype) { return dtype == Dtype::F8_E4M3 || dtype == Dtype::F8_E5M2; }
// Computed with by way of Dequantize alone.
inline bool IsQuantised(Dtype dtype) { return IsInBlocks(dtype) || IsFp8(dtype); }

std::string ShapeText(std::span<const int64_t> shape);  // "[96, 48]"

// Of a tensor, row-major; an empty shape is a scalar. nullopt: a negative dimension, rows that are no whole number of
// blocks, 2^63 elements or 2^64 bytes and more.
std::optional<uint64_t> ByteCount(std::span<const int64_t> shape, Dtype dtype);
std::optional<uint64_t> ByteCount(std::span<const int64_t> shape, int64_t block_elements, int64_t block_bytes);

struct TensorEntry {
  std::string name;
  Dtype dtype;
  std::vector<int64_t> shape;  // row-major, [out, in]; empty: a scalar
  const uint8_t* data;         // inside the mapping; aligned to nothing in particular
  size_t byte_count;           // ByteCount(shape, dtype); kOther: as the file says
  std::string other_dtype;     // of kOther: as the file spells it

  std::string_view dtype_name() const { return dtype == Dtype::kOther ? other_dtype : DtypeName(dtype); }
};

}  // namespace diptych
