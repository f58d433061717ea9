// Goldens: make_gguf_goldens.py beside this file.
#include "common/weights/dequantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "common/weights/ggml_type.h"
#include "common/weights/safetensors.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::ErrorOf;

constexpr const char* kGoldens = DIPTYCH_SOURCE_DIR "/tests/unit/common/weights/data/ggml_blocks.safetensors";

std::vector<Dtype> AllTypes() {
  std::vector<Dtype> types;
  for (uint32_t number = 0; GgmlTypeOf(number) != nullptr; ++number) {
    if (GgmlTypeOf(number)->dtype != Dtype::kOther) types.push_back(GgmlTypeOf(number)->dtype);
  }
  return types;
}

TEST(GgmlBlocks, EqualTheGgufPackageInEveryBit) {
  const auto goldens = SafetensorsFile::Open(kGoldens);
  for (const Dtype type : AllTypes()) {
    const DtypeFacts& facts = FactsOf(type);
    const std::string name(facts.name);
    const TensorEntry* blocks = goldens->Find(name + ".blocks");
    const TensorEntry* values = goldens->Find(name + ".values");
    ASSERT_TRUE(blocks != nullptr && values != nullptr) << name;
    const int64_t count = values->shape.at(0);
    ASSERT_EQ(ByteCount(values->shape, type), blocks->byte_count) << name;

    std::vector<float> out(static_cast<size_t>(count) + 1, 12345.0f);
    Dequantize(type, blocks->data, count, out.data());
    EXPECT_EQ(out.back(), 12345.0f) << name << " writes behind the last element";
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      float golden;
      std::memcpy(&golden, values->data + 4 * i, 4);
      ASSERT_EQ(std::memcmp(&out[i], &golden, 4), 0) << name << " element " << i << ": " << out[i] << " not " << golden;
    }
  }
}

TEST(GgmlBlocks, MayLieAtAnyAddressAndNeedNothingBehindThem) {
  const auto goldens = SafetensorsFile::Open(kGoldens);
  for (const Dtype type : AllTypes()) {
    const DtypeFacts& facts = FactsOf(type);
    const TensorEntry* blocks = goldens->Find(std::string(facts.name) + ".blocks");
    const auto elements = static_cast<size_t>(facts.block_elements);
    const auto bytes = static_cast<size_t>(facts.block_bytes);
    std::vector<float> expected(elements);
    Dequantize(type, blocks->data, facts.block_elements, expected.data());
    for (size_t offset = 1; offset < 8; ++offset) {
      std::vector<uint8_t> shifted(offset + bytes);  // an address sanitizer sees a byte read too many
      std::memcpy(shifted.data() + offset, blocks->data, bytes);
      std::vector<float> out(elements);
      Dequantize(type, shifted.data() + offset, facts.block_elements, out.data());
      EXPECT_EQ(std::memcmp(out.data(), expected.data(), 4 * elements), 0) << facts.name << " at " << offset;
    }
  }
}

// Goldens: make_fp8_goldens.py beside this file.
TEST(Fp8, EqualsTorchInEveryValue) {
  const auto goldens = SafetensorsFile::Open(DIPTYCH_SOURCE_DIR "/tests/unit/common/weights/data/fp8.safetensors");
  std::vector<uint8_t> bytes(256);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  for (const Dtype dtype : {Dtype::F8_E4M3, Dtype::F8_E5M2}) {
    const TensorEntry* const golden = goldens->Find(DtypeName(dtype));
    ASSERT_TRUE(golden != nullptr && golden->byte_count == 1024);
    std::vector<float> found(256);
    Dequantize(dtype, bytes.data(), 256, found.data());
    for (size_t i = 0; i < 256; ++i) {
      float value;
      std::memcpy(&value, golden->data + 4 * i, 4);
      if (std::isnan(value)) {
        EXPECT_TRUE(std::isnan(found[i])) << DtypeName(dtype) << " " << i;
      } else {
        EXPECT_EQ(std::memcmp(&found[i], &value, 4), 0) << DtypeName(dtype) << " " << i << ": " << found[i];
      }
    }
  }
}

// A block in the middle of a row is what it is alone: rows may be given in parts.
TEST(GgmlBlocks, DoNotDependOnTheirNeighbours) {
  const auto goldens = SafetensorsFile::Open(kGoldens);
  for (const Dtype type : AllTypes()) {
    const DtypeFacts& facts = FactsOf(type);
    const TensorEntry* blocks = goldens->Find(std::string(facts.name) + ".blocks");
    const auto elements = static_cast<size_t>(facts.block_elements);
    std::vector<float> together(3 * elements);
    Dequantize(type, blocks->data, 3 * facts.block_elements, together.data());
    for (size_t block = 0; block < 3; ++block) {
      std::vector<float> alone(elements);
      Dequantize(type, blocks->data + block * static_cast<size_t>(facts.block_bytes), facts.block_elements,
                 alone.data());
      EXPECT_EQ(std::memcmp(alone.data(), &together[block * elements], 4 * elements), 0) << facts.name;
    }
  }
}

TEST(GgmlBlocks, AreAskedForWholeAndOfAKnownType) {
  const std::vector<uint8_t> block(256);
  std::vector<float> out(256);
  EXPECT_EQ(ErrorOf([&] { Dequantize(Dtype::Q8_0, block.data(), 33, out.data()); }),
            "asked for 33 elements of Q8_0, expected a multiple of 32");
  EXPECT_EQ(ErrorOf([&] { Dequantize(Dtype::Q4_K, block.data(), -256, out.data()); }),
            "asked for -256 elements of Q4_K, expected a multiple of 256");
  EXPECT_NE(ErrorOf([&] { Dequantize(Dtype::kOther, block.data(), 32, out.data()); }), "");
  EXPECT_EQ(ErrorOf([&] { Dequantize(Dtype::Q4_K, block.data(), 0, out.data()); }), "");
  EXPECT_EQ(ErrorOf([&] { Dequantize(Dtype::F32, nullptr, 0, nullptr); }), "") << "what the sanitizer sees";
}

}  // namespace
}  // namespace diptych
