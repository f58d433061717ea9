#include "common/weights/dtype.h"

#include <array>

namespace diptych {
namespace {

// In the order of Dtype. The sizes of blocks were checked against GGML_QUANT_SIZES of the gguf package 0.19.0.
constexpr std::array<DtypeFacts, 28> kDtypes = {
    {{Dtype::F64, "F64", 1, 8},       {Dtype::F32, "F32", 1, 4},         {Dtype::F16, "F16", 1, 2},
     {Dtype::BF16, "BF16", 1, 2},     {Dtype::F8_E4M3, "F8_E4M3", 1, 1}, {Dtype::F8_E5M2, "F8_E5M2", 1, 1},
     {Dtype::I64, "I64", 1, 8},       {Dtype::I32, "I32", 1, 4},         {Dtype::I16, "I16", 1, 2},
     {Dtype::I8, "I8", 1, 1},         {Dtype::U64, "U64", 1, 8},         {Dtype::U32, "U32", 1, 4},
     {Dtype::U16, "U16", 1, 2},       {Dtype::U8, "U8", 1, 1},           {Dtype::BOOL, "BOOL", 1, 1},
     {Dtype::Q8_0, "Q8_0", 32, 34},   {Dtype::Q4_0, "Q4_0", 32, 18},     {Dtype::Q4_1, "Q4_1", 32, 20},
     {Dtype::Q5_0, "Q5_0", 32, 22},   {Dtype::Q5_1, "Q5_1", 32, 24},     {Dtype::Q2_K, "Q2_K", 256, 84},
     {Dtype::Q3_K, "Q3_K", 256, 110}, {Dtype::Q4_K, "Q4_K", 256, 144},   {Dtype::Q5_K, "Q5_K", 256, 176},
     {Dtype::Q6_K, "Q6_K", 256, 210}, {Dtype::IQ4_NL, "IQ4_NL", 32, 18}, {Dtype::IQ4_XS, "IQ4_XS", 256, 136},
     {Dtype::kOther, "", 1, 0}}};

constexpr bool StandInOrder() {
  for (size_t i = 0; i < kDtypes.size(); ++i) {
    if (static_cast<size_t>(kDtypes[i].dtype) != i) return false;
  }
  return true;
}
static_assert(StandInOrder());

}  // namespace

const DtypeFacts& FactsOf(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)]; }

std::span<const DtypeFacts> AllDtypes() { return std::span(kDtypes).first(kDtypes.size() - 1); }

std::string ShapeText(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::optional<uint64_t> ByteCount(std::span<const int64_t> shape, Dtype dtype) {
  return ByteCount(shape, FactsOf(dtype).block_elements, FactsOf(dtype).block_bytes);
}

std::optional<uint64_t> ByteCount(std::span<const int64_t> shape, int64_t block_elements, int64_t block_bytes) {
  if (block_elements == 0 || (shape.empty() ? 1 : shape.back()) % block_elements != 0) return std::nullopt;
  int64_t elements = 1;
  for (const int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(elements, dimension, &elements)) return std::nullopt;
  }
  uint64_t bytes = 0;
  const auto blocks = static_cast<uint64_t>(elements / block_elements);
  if (__builtin_mul_overflow(blocks, static_cast<uint64_t>(block_bytes), &bytes)) return std::nullopt;
  return bytes;
}

}  // namespace diptych
