#include "common/weights/ggml_type.h"

#include <array>

namespace diptych {
namespace {

// Checked against GGML_QUANT_SIZES of the gguf package 0.19.0; the ones without a size left ggml in 2023 and 2024.
constexpr std::array<GgmlType, 42> kTypes = {{{Dtype::F32, 0, "F32", 1, 4},
                                                   {Dtype::F16, 1, "F16", 1, 2},
                                                   {Dtype::Q4_0, 2, "Q4_0", 32, 18},
                                                   {Dtype::Q4_1, 3, "Q4_1", 32, 20},
                                                   {Dtype::kOther, 4, "Q4_2", 0, 0},
                                                   {Dtype::kOther, 5, "Q4_3", 0, 0},
                                                   {Dtype::Q5_0, 6, "Q5_0", 32, 22},
                                                   {Dtype::Q5_1, 7, "Q5_1", 32, 24},
                                                   {Dtype::Q8_0, 8, "Q8_0", 32, 34},
                                                   {Dtype::kOther, 9, "Q8_1", 32, 40},
                                                   {Dtype::Q2_K, 10, "Q2_K", 256, 84},
                                                   {Dtype::Q3_K, 11, "Q3_K", 256, 110},
                                                   {Dtype::Q4_K, 12, "Q4_K", 256, 144},
                                                   {Dtype::Q5_K, 13, "Q5_K", 256, 176},
                                                   {Dtype::Q6_K, 14, "Q6_K", 256, 210},
                                                   {Dtype::kOther, 15, "Q8_K", 256, 292},
                                                   {Dtype::kOther, 16, "IQ2_XXS", 256, 66},
                                                   {Dtype::kOther, 17, "IQ2_XS", 256, 74},
                                                   {Dtype::kOther, 18, "IQ3_XXS", 256, 98},
                                                   {Dtype::kOther, 19, "IQ1_S", 256, 50},
                                                   {Dtype::IQ4_NL, 20, "IQ4_NL", 32, 18},
                                                   {Dtype::kOther, 21, "IQ3_S", 256, 110},
                                                   {Dtype::kOther, 22, "IQ2_S", 256, 82},
                                                   {Dtype::IQ4_XS, 23, "IQ4_XS", 256, 136},
                                                   {Dtype::I8, 24, "I8", 1, 1},
                                                   {Dtype::I16, 25, "I16", 1, 2},
                                                   {Dtype::I32, 26, "I32", 1, 4},
                                                   {Dtype::I64, 27, "I64", 1, 8},
                                                   {Dtype::F64, 28, "F64", 1, 8},
                                                   {Dtype::kOther, 29, "IQ1_M", 256, 56},
                                                   {Dtype::BF16, 30, "BF16", 1, 2},
                                                   {Dtype::kOther, 31, "Q4_0_4_4", 0, 0},
                                                   {Dtype::kOther, 32, "Q4_0_4_8", 0, 0},
                                                   {Dtype::kOther, 33, "Q4_0_8_8", 0, 0},
                                                   {Dtype::kOther, 34, "TQ1_0", 256, 54},
                                                   {Dtype::kOther, 35, "TQ2_0", 256, 66},
                                                   {Dtype::kOther, 36, "IQ4_NL_4_4", 0, 0},
                                                   {Dtype::kOther, 37, "IQ4_NL_4_8", 0, 0},
                                                   {Dtype::kOther, 38, "IQ4_NL_8_8", 0, 0},
                                                   {Dtype::kOther, 39, "MXFP4", 32, 17},
                                                   {Dtype::kOther, 40, "NVFP4", 64, 36},
                                                   {Dtype::kOther, 41, "Q1_0", 128, 18}}};

}  // namespace

const GgmlType* GgmlTypeOf(uint32_t number) {
  return number < kTypes.size() ? &kTypes[number] : nullptr;  // they stand in order, without a gap
}

}  // namespace diptych
