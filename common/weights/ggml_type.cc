#include "common/weights/ggml_type.h"

#include <algorithm>
#include <array>

namespace diptych {
namespace {

// Checked against GGML_QUANT_SIZES of the gguf package 0.19.0; the ones without a size left ggml in 2023 and 2024.
constexpr std::array<GgmlTypeFacts, 42> kTypes = {{{GgmlType::F32, 0, "F32", 1, 4},
                                                   {GgmlType::F16, 1, "F16", 1, 2},
                                                   {GgmlType::Q4_0, 2, "Q4_0", 32, 18},
                                                   {GgmlType::Q4_1, 3, "Q4_1", 32, 20},
                                                   {GgmlType::kOther, 4, "Q4_2", 0, 0},
                                                   {GgmlType::kOther, 5, "Q4_3", 0, 0},
                                                   {GgmlType::Q5_0, 6, "Q5_0", 32, 22},
                                                   {GgmlType::Q5_1, 7, "Q5_1", 32, 24},
                                                   {GgmlType::Q8_0, 8, "Q8_0", 32, 34},
                                                   {GgmlType::kOther, 9, "Q8_1", 32, 40},
                                                   {GgmlType::Q2_K, 10, "Q2_K", 256, 84},
                                                   {GgmlType::Q3_K, 11, "Q3_K", 256, 110},
                                                   {GgmlType::Q4_K, 12, "Q4_K", 256, 144},
                                                   {GgmlType::Q5_K, 13, "Q5_K", 256, 176},
                                                   {GgmlType::Q6_K, 14, "Q6_K", 256, 210},
                                                   {GgmlType::kOther, 15, "Q8_K", 256, 292},
                                                   {GgmlType::kOther, 16, "IQ2_XXS", 256, 66},
                                                   {GgmlType::kOther, 17, "IQ2_XS", 256, 74},
                                                   {GgmlType::kOther, 18, "IQ3_XXS", 256, 98},
                                                   {GgmlType::kOther, 19, "IQ1_S", 256, 50},
                                                   {GgmlType::IQ4_NL, 20, "IQ4_NL", 32, 18},
                                                   {GgmlType::kOther, 21, "IQ3_S", 256, 110},
                                                   {GgmlType::kOther, 22, "IQ2_S", 256, 82},
                                                   {GgmlType::IQ4_XS, 23, "IQ4_XS", 256, 136},
                                                   {GgmlType::I8, 24, "I8", 1, 1},
                                                   {GgmlType::I16, 25, "I16", 1, 2},
                                                   {GgmlType::I32, 26, "I32", 1, 4},
                                                   {GgmlType::I64, 27, "I64", 1, 8},
                                                   {GgmlType::F64, 28, "F64", 1, 8},
                                                   {GgmlType::kOther, 29, "IQ1_M", 256, 56},
                                                   {GgmlType::BF16, 30, "BF16", 1, 2},
                                                   {GgmlType::kOther, 31, "Q4_0_4_4", 0, 0},
                                                   {GgmlType::kOther, 32, "Q4_0_4_8", 0, 0},
                                                   {GgmlType::kOther, 33, "Q4_0_8_8", 0, 0},
                                                   {GgmlType::kOther, 34, "TQ1_0", 256, 54},
                                                   {GgmlType::kOther, 35, "TQ2_0", 256, 66},
                                                   {GgmlType::kOther, 36, "IQ4_NL_4_4", 0, 0},
                                                   {GgmlType::kOther, 37, "IQ4_NL_4_8", 0, 0},
                                                   {GgmlType::kOther, 38, "IQ4_NL_8_8", 0, 0},
                                                   {GgmlType::kOther, 39, "MXFP4", 32, 17},
                                                   {GgmlType::kOther, 40, "NVFP4", 64, 36},
                                                   {GgmlType::kOther, 41, "Q1_0", 128, 18}}};

}  // namespace

const GgmlTypeFacts& FactsOf(GgmlType type) {
  return *std::find_if(kTypes.begin(), kTypes.end(), [&](const GgmlTypeFacts& facts) { return facts.type == type; });
}

const GgmlTypeFacts* FactsOfGgmlNumber(uint32_t number) {
  return number < kTypes.size() ? &kTypes[number] : nullptr;  // they stand in order, without a gap
}

std::optional<uint64_t> ByteCount(std::span<const int64_t> shape, const GgmlTypeFacts& facts) {
  if (facts.block_elements == 0) return std::nullopt;
  if ((shape.empty() ? 1 : shape.back()) % facts.block_elements != 0) return std::nullopt;
  int64_t elements = 1;
  for (const int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(elements, dimension, &elements)) return std::nullopt;
  }
  uint64_t bytes = 0;
  const auto blocks = static_cast<uint64_t>(elements / facts.block_elements);
  if (__builtin_mul_overflow(blocks, static_cast<uint64_t>(facts.block_bytes), &bytes)) return std::nullopt;
  return bytes;
}

}  // namespace diptych
