// Goldens: make_gguf_goldens.py beside this file.
#include "common/weights/gguf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "common/weights/dequantize.h"
#include "common/weights/safetensors.h"
#include "tests/support/child_cost.h"
#include "tests/support/gguf_writer.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::ErrorOf;
using testing::ReadText;
using testing::TemporaryFolder;
using testing::WriteText;

const std::string kData = DIPTYCH_SOURCE_DIR "/tests/unit/common/weights/data/";

// Numbers as they lie in a file.
template <typename Number>
std::string Raw(Number number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}
std::string U32(uint32_t number) { return Raw(number); }
std::string U64(uint64_t number) { return Raw(number); }
std::string Text(const std::string& text) { return U64(text.size()) + text; }
std::string TypeOf(GgufValueType type) { return U32(static_cast<uint32_t>(type)); }

std::string Entry(const std::string& key, GgufValueType type, const std::string& value) {
  return Text(key) + TypeOf(type) + value;
}
std::string ArrayEntry(const std::string& key, GgufValueType element, uint64_t count, const std::string& values) {
  return Entry(key, GgufValueType::kArray, TypeOf(element) + U64(count) + values);
}

// Dimensions as ggml has them, the fastest first.
std::string Tensor(const std::string& name, const std::vector<uint64_t>& ne, uint32_t type, uint64_t offset) {
  std::string bytes = Text(name) + U32(static_cast<uint32_t>(ne.size()));
  for (const uint64_t dimension : ne) bytes += U64(dimension);
  return bytes + U32(type) + U64(offset);
}

constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ8_0 = 8;

struct Parts {
  std::vector<std::string> entries = {};
  std::vector<std::string> tensors = {};
  size_t data_bytes = 0;
  uint32_t version = 3;
  size_t alignment = 32;
  std::optional<uint64_t> entry_count = {};  // what the file says; by default the truth
  std::optional<uint64_t> tensor_count = {};
};

std::string File(const Parts& parts) {
  std::string file = "GGUF" + U32(parts.version) + U64(parts.tensor_count.value_or(parts.tensors.size())) +
                     U64(parts.entry_count.value_or(parts.entries.size()));
  for (const std::string& entry : parts.entries) file += entry;
  for (const std::string& tensor : parts.tensors) file += tensor;
  file.resize((file.size() + parts.alignment - 1) / parts.alignment * parts.alignment);
  return file + std::string(parts.data_bytes, '\1');
}

// What the file points to is in `file`.
std::shared_ptr<const GgufFile> ParseText(const std::string& file) {
  return GgufFile::Parse({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "file");
}

std::string Refusal(const Parts& parts) {
  return ErrorOf([&] { ParseText(File(parts)); });
}
std::string RefusalOfEntry(const std::string& entry) { return Refusal({.entries = {entry}}); }
std::string RefusalOfTensor(const std::string& tensor, size_t data_bytes = 64) {
  return Refusal({.tensors = {tensor}, .data_bytes = data_bytes});
}

ErrorCode CodeOf(const Parts& parts) {
  try {
    ParseText(File(parts));
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(Gguf, ReadsTheTensorsThatTheGgufPackageWrote) {
  const auto file = GgufFile::Open(kData + "written.gguf");
  const auto values = SafetensorsFile::Open(kData + "written_values.safetensors");
  EXPECT_EQ(file->tensors().size(), values->tensors().size() + 1);
  EXPECT_TRUE(file->warnings().empty());
  for (const auto& [name, golden] : values->tensors()) {
    const TensorEntry* tensor = file->Find(name);
    ASSERT_TRUE(tensor != nullptr) << name;
    EXPECT_EQ(tensor->name, name);
    EXPECT_EQ(ShapeText(tensor->shape), ShapeText(golden.shape)) << name;
    EXPECT_EQ(ByteCount(tensor->shape, tensor->dtype), tensor->byte_count) << name;
    std::vector<float> found(golden.byte_count / sizeof(float));
    Dequantize(tensor->dtype, tensor->data, static_cast<int64_t>(found.size()), found.data());
    EXPECT_EQ(std::memcmp(found.data(), golden.data, golden.byte_count), 0) << name;
  }
  EXPECT_EQ(file->Find("q4_k.weight")->dtype_name(), "Q4_K");
  EXPECT_EQ(ShapeText(file->Find("half.weight")->shape), "[2, 3]");
  EXPECT_TRUE(file->Find("absent") == nullptr);

  const TensorEntry* other = file->Find("other.weight");
  ASSERT_TRUE(other != nullptr) << "a file with a tensor that nobody needs is read";
  EXPECT_TRUE(other->dtype == Dtype::kOther);
  EXPECT_EQ(other->dtype_name(), "IQ2_XXS");
  EXPECT_EQ(other->byte_count, 66u);
}

TEST(Gguf, GivesMetadataOfEveryKind) {
  const auto file = GgufFile::Open(kData + "written.gguf");
  EXPECT_EQ(file->Text("general.architecture"), "qwen3");
  EXPECT_EQ(file->Text("test.text"), "Zwei Hälften, 二");
  EXPECT_EQ(file->Bool("test.yes"), true);
  EXPECT_EQ(file->Bool("test.no"), false);
  EXPECT_EQ(file->Integer("test.u8"), 255);
  EXPECT_EQ(file->Integer("test.i8"), -128);
  EXPECT_EQ(file->Integer("test.u16"), 65535);
  EXPECT_EQ(file->Integer("test.i16"), -32768);
  EXPECT_EQ(file->Integer("test.u32"), 4294967295);
  EXPECT_EQ(file->Integer("test.i32"), INT32_MIN);
  EXPECT_EQ(file->Integer("test.u64"), INT64_MAX);
  EXPECT_EQ(file->Integer("test.i64"), INT64_MIN);
  EXPECT_EQ(file->Number("test.f32"), static_cast<double>(1e-6f));
  EXPECT_EQ(file->Number("test.f64"), 0.1);
  EXPECT_EQ(file->Number("test.i16"), -32768.0);
  EXPECT_EQ(file->Number("test.beyond_int64"), 18446744073709551616.0);
  EXPECT_EQ(file->metadata().at("test.nested").TypeText(), "array of array");

  const auto* tokens = file->Texts("tokenizer.ggml.tokens");
  ASSERT_TRUE(tokens != nullptr);
  EXPECT_EQ(*tokens, (std::vector<std::string_view>{"!", "Ġa", "<|im_end|>", "[PAD3]"}));
  EXPECT_EQ(*file->Texts("tokenizer.ggml.merges"), (std::vector<std::string_view>{"Ġ a", "a b"}));
  const auto integers = [&](const char* key) {
    const auto numbers = file->Integers(key);
    std::vector<int64_t> found;
    for (size_t i = 0; i < numbers.value().size(); ++i) found.push_back((*numbers)[i]);
    return found;
  };
  EXPECT_EQ(integers("tokenizer.ggml.token_type"), (std::vector<int64_t>{1, 1, 3, 5}));
  EXPECT_EQ(integers("test.ints"), (std::vector<int64_t>{-1, 0, 7}));
  EXPECT_EQ(integers("test.array_u8"), (std::vector<int64_t>{1, 2, 250}));
  EXPECT_EQ(integers("test.array_i16"), (std::vector<int64_t>{1, 2, 250}));
  EXPECT_EQ(integers("test.array_u64"), (std::vector<int64_t>{1, 2, 250}));
  const auto floats = file->Numbers("test.floats");
  ASSERT_TRUE(floats.has_value() && floats->size() == 2);
  EXPECT_EQ((*floats)[1], -2.25);
  EXPECT_EQ(file->Numbers("test.array_f64").value()[2], 250.0);
  EXPECT_EQ(file->Numbers("test.ints").value()[0], -1.0);
}

TEST(Gguf, GivesNothingForAnAbsentKey) {
  const auto file = ParseText(File({}));
  EXPECT_FALSE(file->Text("a").has_value() || file->Bool("a").has_value() || file->Integer("a").has_value());
  EXPECT_FALSE(file->Number("a").has_value() || file->Integers("a").has_value() || file->Numbers("a").has_value());
  EXPECT_TRUE(file->Texts("a") == nullptr);
}

TEST(Gguf, NamesKeyAndBothTypesWhenAValueIsOfAnother) {
  const std::string bytes = File(
      {.entries = {Entry("whole", GgufValueType::U32, U32(7)), Entry("large", GgufValueType::U64, U64(UINT64_MAX)),
                   Entry("text", GgufValueType::kString, Text("7")), ArrayEntry("texts", GgufValueType::kString, 0, ""),
                   ArrayEntry("larges", GgufValueType::U64, 1, U64(UINT64_MAX)),
                   ArrayEntry("floats", GgufValueType::F32, 1, Raw(1.5f)),
                   ArrayEntry("bools", GgufValueType::kBool, 1, "\1")}});
  const auto file = ParseText(bytes);
  EXPECT_EQ(ErrorOf([&] { file->Text("whole"); }), "file: metadata whole: expected a string, found u32");
  EXPECT_EQ(ErrorOf([&] { file->Bool("whole"); }), "file: metadata whole: expected a bool, found u32");
  EXPECT_EQ(ErrorOf([&] { file->Integer("text"); }), "file: metadata text: expected a whole number, found string");
  EXPECT_EQ(ErrorOf([&] { file->Integer("floats"); }),
            "file: metadata floats: expected a whole number, found array of f32");
  EXPECT_EQ(ErrorOf([&] { file->Integer("large"); }),
            "file: metadata large: expected a number below 2^63, found 18446744073709551615");
  EXPECT_EQ(ErrorOf([&] { file->Number("floats"); }), "file: metadata floats: expected a number, found array of f32");
  EXPECT_EQ(ErrorOf([&] { file->Texts("text"); }), "file: metadata text: expected an array of strings, found string");
  EXPECT_EQ(ErrorOf([&] { file->Integers("floats"); }),
            "file: metadata floats: expected an array of whole numbers, found array of f32");
  EXPECT_EQ(ErrorOf([&] { file->Integers("larges"); }),
            "file: metadata larges: expected numbers below 2^63, found a greater one");
  EXPECT_EQ(ErrorOf([&] { file->Numbers("bools"); }),
            "file: metadata bools: expected an array of numbers, found array of bool");
  EXPECT_EQ(ErrorOf([&] { file->Numbers("whole"); }), "file: metadata whole: expected an array of numbers, found u32");
}

TEST(Gguf, ReadsVersions2And3AndSaysWhatToDoWithOthers) {
  EXPECT_EQ(Refusal({.version = 2}), "");
  EXPECT_EQ(Refusal({.version = 3}), "");
  EXPECT_EQ(Refusal({.version = 1}),
            "file: GGUF version 1, expected 2 or 3: look for a newer file of this model, or convert it anew");
  EXPECT_EQ(Refusal({.version = 4}), "file: GGUF version 4, expected 2 or 3: look for a newer Diptych");
  EXPECT_EQ(Refusal({.version = 0}), "file: GGUF version 0, expected 2 or 3");
  EXPECT_EQ(Refusal({.version = 3u << 24}),
            "file: a GGUF file for big-endian machines, expected little-endian: convert it with `gguf-convert-endian "
            "FILE little` of Python's gguf package");
  EXPECT_TRUE(CodeOf({.version = 1}) == ErrorCode::kInvalidArgument) << "nothing is damaged";
  EXPECT_EQ(ErrorOf([] { ParseText("GGML" + std::string(100, '\0')); }),
            "file: it does not begin with \"GGUF\"; is this a GGUF file?");
}

TEST(Gguf, TellsExpectedAndFoundSizeOfTruncatedFile) {
  const std::string whole = ReadText(kData + "written.gguf");
  const auto file = ParseText(whole);
  size_t end = 0;
  for (const auto& [name, tensor] : file->tensors()) {
    end = std::max(
        end, static_cast<size_t>(tensor.data - reinterpret_cast<const uint8_t*>(whole.data())) + tensor.byte_count);
  }
  EXPECT_EQ(ErrorOf([&] { ParseText(whole.substr(0, end)); }), "") << "what pads the last tensor may be missing";
  for (size_t size = 0; size < end; ++size) {
    try {
      ParseText(whole.substr(0, size));
      ADD_FAILURE() << size;
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_TRUE(error.code() == ErrorCode::kDataLoss) << size;
      EXPECT_EQ(message.find("file: file is truncated: " + std::to_string(size) + " bytes of "), 0u) << message;
    }
  }
  EXPECT_EQ(ErrorOf([&] { ParseText(whole.substr(0, end - 3)); }),
            "file: file is truncated: " + std::to_string(end - 3) + " bytes of " + std::to_string(end));
  EXPECT_EQ(ErrorOf([&] { ParseText(whole.substr(0, 30)); }),
            "file: file is truncated: 30 bytes of at least 32, it ends in metadata entry 1");
}

TEST(Gguf, RefusesLyingCounts) {
  EXPECT_EQ(Refusal({.tensor_count = 1'000'000'000}), "file: number of tensors: 1000000000, expected at most 100000");
  EXPECT_EQ(Refusal({.entry_count = 1'000'000'000'000}),
            "file: number of metadata entries: 1000000000000, expected at most 200000");
  EXPECT_NE(Refusal({.entry_count = UINT64_MAX}), "");
  EXPECT_EQ(Refusal({.alignment = 1, .tensor_count = 2}),
            "file: file is truncated: 24 bytes of at least 32, it ends in tensor 1");
}

TEST(Gguf, RefusesLyingLengths) {
  EXPECT_EQ(RefusalOfEntry(Entry("k", GgufValueType::kString, U64(uint64_t{1} << 60))),
            "file: metadata k: it announces 1152921504606846976 bytes, and all that stands before the data has at most "
            "67108864");
  EXPECT_EQ(RefusalOfEntry(ArrayEntry("k", GgufValueType::F64, uint64_t{1} << 61, "")),
            "file: metadata k: it announces 2305843009213693952 times 8 bytes, and all that stands before the data has "
            "at most 67108864")
      << "2^64 bytes would wrap to zero";
  EXPECT_EQ(RefusalOfEntry(U64(uint64_t{1} << 63)),
            "file: metadata entry 1: it announces 9223372036854775808 bytes, and all that stands before the data has "
            "at most 67108864");
  EXPECT_EQ(RefusalOfEntry(Entry("k", GgufValueType::kString, U64(1000) + "abc")),
            "file: file is truncated: 64 bytes of at least 1045, it ends in metadata k");
  EXPECT_EQ(RefusalOfEntry(ArrayEntry("k", GgufValueType::kString, 1000, "")),
            "file: file is truncated: 64 bytes of at least 8049, it ends in metadata k");
  EXPECT_EQ(RefusalOfEntry(ArrayEntry("k", GgufValueType::kArray, 1000, "")),
            "file: file is truncated: 64 bytes of at least 12049, it ends in metadata k");
  EXPECT_EQ(RefusalOfEntry(ArrayEntry("k", GgufValueType::kString, 3'000'000, std::string(24'000'000, '\0'))),
            "file: metadata k: with its 3000000 the file has more than 2000000 strings in arrays");
}

TEST(Gguf, RefusesValueTypesThatItDoesNotKnow) {
  EXPECT_EQ(RefusalOfEntry(Text("k") + U32(13) + U64(0)), "file: metadata k: value type 13, expected 0 to 12");
  EXPECT_EQ(RefusalOfEntry(Text("k") + U32(9) + U32(99) + U64(0)), "file: metadata k: value type 99, expected 0 to 12");
}

TEST(Gguf, PassesOverArraysInArraysDownToADepth) {
  const auto nested = [](int levels) {
    std::string value = TypeOf(GgufValueType::kString) + U64(1) + Text("x");
    for (int i = 1; i < levels; ++i) value = TypeOf(GgufValueType::kArray) + U64(1) + value;
    return Entry("k", GgufValueType::kArray, value);
  };
  const std::string bytes = File({.entries = {nested(4), Entry("behind", GgufValueType::U8, "\7")}});
  const auto file = ParseText(bytes);
  EXPECT_EQ(file->Integer("behind"), 7);
  EXPECT_EQ(RefusalOfEntry(nested(5)), "file: metadata k: arrays in each other deeper than 4 levels");
  EXPECT_EQ(RefusalOfEntry(nested(1000)), "file: metadata k: arrays in each other deeper than 4 levels");
}

TEST(Gguf, RefusesImpossibleShapes) {
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {1, 1, 1, 1, 4}, kF32, 0)),
            "file: tensor w: it has 5 dimensions, expected at most 4");
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {UINT64_MAX}, kF32, 0)),
            "file: tensor w: a dimension is 18446744073709551615, expected at most 9223372036854775807");
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {uint64_t{1} << 31, uint64_t{1} << 33}, kF32, 0)),
            "file: tensor w: shape [8589934592, 2147483648] is larger than any file");
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {33, 32}, kQ8_0, 0)),
            "file: tensor w: shape [32, 33] in Q8_0 has rows of 33, expected a multiple of 32");
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {}, kQ8_0, 0)),
            "file: tensor w: shape [] in Q8_0 has rows of 1, expected a multiple of 32");
}

TEST(Gguf, NamesTensorAndTypeThatItCannotSize) {
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {32}, 99, 0)),
            "file: tensor w: it has ggml's type number 99, which this program does not know: quantise the model as "
            "Q8_0, say, or look for a newer Diptych");
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {32}, 31, 0)),
            "file: tensor w: its type Q4_0_4_4 was taken out of ggml: look for a newer file of this model, or quantise "
            "it anew");
  EXPECT_TRUE(CodeOf({.tensors = {Tensor("w", {32}, 99, 0)}}) == ErrorCode::kInvalidArgument) << "nothing is damaged";
}

TEST(Gguf, RefusesOffsetsBeyondTheFile) {
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {4}, kF32, 64)),
            "file: tensor w: it begins at offset 64, expected at most 32, the bytes of all tensors");
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {4}, kF32, uint64_t{1} << 60)),
            "file: tensor w: it begins at offset 1152921504606846976, expected at most 32, the bytes of all tensors");
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {4}, kF32, UINT64_MAX - 8)),
            "file: tensor w: 16 bytes at offset 18446744073709551607 lie beyond any file");
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {4}, kF32, INT64_MAX - 8)),
            "file: tensor w: 16 bytes at offset 9223372036854775799 lie beyond any file");
  EXPECT_EQ(RefusalOfTensor(Tensor("w", {40}, kF32, 0)), "file: file is truncated: 128 bytes of 224");
  const uint64_t quarter = uint64_t{1} << 60;  // floats: 2^62 bytes
  EXPECT_NE(Refusal({.tensors = {Tensor("a", {quarter}, kF32, 0), Tensor("b", {quarter}, kF32, quarter),
                                 Tensor("c", {quarter}, kF32, 4), Tensor("d", {quarter}, kF32, 8)}}),
            "")
      << "the sum of their bytes is beyond 64 bits";
}

TEST(Gguf, RefusesRepeatedNames) {
  EXPECT_EQ(Refusal({.tensors = {Tensor("w", {4}, kF32, 0), Tensor("w", {4}, kF32, 32)}, .data_bytes = 64}),
            "file: tensor w: the name appears twice");
  EXPECT_EQ(Refusal({.entries = {Entry("k", GgufValueType::U8, "\1"), Entry("k", GgufValueType::U8, "\1")}}),
            "file: metadata k: the key appears twice");
}

TEST(Gguf, PlacesTheDataByTheAlignmentThatTheFileStates) {
  for (const size_t alignment : {1, 8, 32, 64, 4096}) {
    const std::string whole =
        File({.entries = {Entry("general.alignment", GgufValueType::U32, U32(static_cast<uint32_t>(alignment)))},
              .tensors = {Tensor("w", {3}, kF32, 0)},
              .data_bytes = 12,
              .alignment = alignment});
    const auto file = ParseText(whole);
    EXPECT_TRUE(file->Find("w")->data == reinterpret_cast<const uint8_t*>(whole.data()) + whole.size() - 12)
        << alignment;
  }
  const auto refusal = [](GgufValueType type, const std::string& value) {
    return RefusalOfEntry(Entry("general.alignment", type, value));
  };
  EXPECT_EQ(refusal(GgufValueType::U32, U32(0)), "file: metadata general.alignment: expected a power of two, found 0");
  EXPECT_EQ(refusal(GgufValueType::U32, U32(24)),
            "file: metadata general.alignment: expected a power of two, found 24");
  EXPECT_EQ(refusal(GgufValueType::U64, U64(32)), "file: metadata general.alignment: expected u32, found u64");
  EXPECT_EQ(Refusal({.entries = {Entry("general.alignment", GgufValueType::U32, U32(1u << 31))},
                     .tensors = {Tensor("w", {3}, kF32, 0)},
                     .data_bytes = 12}),
            "file: file is truncated: 108 bytes of 2147483660");
}

TEST(Gguf, SaysWhichTensorsShareBytes) {
  const auto two = [](uint64_t second, uint64_t elements) {
    return ParseText(
               File({.tensors = {Tensor("a", {8}, kF32, 0), Tensor("b", {elements}, kF32, second)}, .data_bytes = 64}))
        ->warnings();
  };
  EXPECT_TRUE(two(32, 8).empty());
  EXPECT_TRUE(two(16, 0).empty()) << "b has no bytes";
  EXPECT_EQ(two(28, 8), std::vector<std::string>{"file: tensors a and b share bytes"});
  EXPECT_EQ(two(0, 8), std::vector<std::string>{"file: tensors a and b share bytes"});
}

// What GGUFReader of gguf 0.19.0 opens and what it does not, each tried there. It also opens five dimensions and
// empty arrays of an unknown type, which ggml does not.
TEST(Gguf, OpensWhatTheReferenceOpens) {
  const auto opens = [](const std::string& tensor) { return RefusalOfTensor(tensor).empty(); };
  EXPECT_TRUE(opens(Tensor("w", {0}, kF32, 0)));
  EXPECT_TRUE(opens(Tensor("w", {0}, kF32, 64)));
  EXPECT_TRUE(opens(Tensor("w", {4, 0}, kF32, 0)));
  EXPECT_TRUE(opens(Tensor("w", {}, kF32, 0)));
  EXPECT_TRUE(opens(Tensor("w", {4}, kF32, 3))) << "an offset of no alignment";
  EXPECT_TRUE(opens(Tensor("w", {4}, kF32, 48))) << "a hole";
  EXPECT_TRUE(opens(Tensor("", {4}, kF32, 0)));
  EXPECT_TRUE(opens(Tensor("w", {32}, 9, 0))) << "Q8_1";
  EXPECT_FALSE(opens(Tensor("w", {32}, 4, 0))) << "Q4_2";
  EXPECT_EQ(Refusal({.tensors = {Tensor("a", {4}, kF32, 0), Tensor("b", {4}, kF32, 0)}, .data_bytes = 64}), "");
  EXPECT_EQ(RefusalOfEntry(Entry("", GgufValueType::kBool, "\7")), "");
  EXPECT_EQ(RefusalOfEntry(ArrayEntry("k", GgufValueType::kString, 0, "")), "");
  EXPECT_EQ(Refusal({.alignment = 1}), "") << "no tensors, and nothing behind the header";
}

TEST(Gguf, PassesOverNamesThatWouldSpoilAMessage) {
  for (const std::string& name : {std::string("a\nb"), std::string(1025, 'x'), std::string("\xff")}) {
    const auto file = ParseText(File({.entries = {Entry(name, GgufValueType::U8, "\1")},
                                      .tensors = {Tensor(name, {4}, kF32, 0), Tensor(name + "2", {4}, kF32, 0)},
                                      .data_bytes = 16}));
    EXPECT_TRUE(file->tensors().empty());
    EXPECT_TRUE(file->metadata().empty());
    ASSERT_EQ(file->warnings().size(), 3u);
    for (const std::string& warning : file->warnings()) {
      EXPECT_EQ(warning.find('\n'), std::string::npos);
      EXPECT_LT(warning.size(), 600u);
    }
  }
  EXPECT_EQ(RefusalOfTensor(Tensor("a\nb", {4}, 99, 0)).find('\n'), std::string::npos);
  EXPECT_LT(RefusalOfTensor(Tensor(std::string(100'000, 'x'), {4}, 99, 0)).size(), 600u);
}

TEST(Gguf, SaysWhyAFileCannotBeOpened) {
  const TemporaryFolder folder;
  EXPECT_EQ(ErrorOf([&] { GgufFile::Open(folder / "absent"); }), (folder / "absent") + ": No such file or directory");
  WriteText(folder / "page", "<!DOCTYPE html><html></html>");
  EXPECT_EQ(ErrorOf([&] { GgufFile::Open(folder / "page"); }).find((folder / "page") + ": this is a page (HTML)"), 0u);
  WriteText(folder / "empty", "");
  EXPECT_EQ(ErrorOf([&] { GgufFile::Open(folder / "empty"); }),
            (folder / "empty") + ": this is an empty file: its download has not begun, or its disk was full");
  WriteText(folder / "cut", ReadText(kData + "written.gguf").substr(0, 3000));
  WriteText(folder / "cut.part", "");
  const std::string message = ErrorOf([&] { GgufFile::Open(folder / "cut"); });
  EXPECT_EQ(message.find((folder / "cut") + ": file is truncated: 3000 bytes of "), 0u) << message;
  EXPECT_NE(message.find("; its download or copy was cut short, but cut.part lies beside it"), std::string::npos)
      << message;
  WriteText(folder / "first", "GGUF");
  EXPECT_EQ(ErrorOf([&] { GgufFile::Open(folder / "first"); }),
            (folder / "first") +
                ": file is truncated: 4 bytes of at least 8, it ends in its beginning; its download or "
                "copy was cut short");
}

// The most of everything that a file may say before its data, and a tokenizer as people have it.
TEST(Gguf, HeadersTakeMemoryAndTimeWithinABound) {
  const auto repeated = [](size_t times, auto&& make) {
    std::vector<std::string> all;
    for (size_t i = 0; i < times; ++i) all.push_back(make(std::to_string(i)));
    return all;
  };
  std::string tokens;
  for (int i = 0; i < 150'000; ++i) tokens += Text("token" + std::to_string(i));
  const std::string empty_array = TypeOf(GgufValueType::kString) + U64(0);
  std::string empty_arrays;
  for (int i = 0; i < 1'000'000; ++i) empty_arrays += empty_array;
  const struct {
    const char* what;
    Parts parts;
    int64_t memory_mib;
  } cases[] = {
      {"a tokenizer",
       {.entries = {ArrayEntry("tokens", GgufValueType::kString, 150'000, tokens),
                    ArrayEntry("merges", GgufValueType::kString, 150'000, tokens),
                    ArrayEntry("types", GgufValueType::I32, 150'000, std::string(600'000, '\1'))}},
       8},
      {"strings", {.entries = {ArrayEntry("k", GgufValueType::kString, 2'000'000, std::string(16'000'000, '\0'))}}, 40},
      {"numbers", {.entries = {ArrayEntry("k", GgufValueType::U8, 60'000'000, std::string(60'000'000, '\1'))}}, 4},
      {"arrays", {.entries = {ArrayEntry("k", GgufValueType::kArray, 1'000'000, empty_arrays)}}, 4},
      {"entries",
       {.entries = repeated(200'000,
                            [](const std::string& i) {
                              return Entry(std::string(100 - i.size(), 'k') + i, GgufValueType::kBool, "\1");
                            })},
       150},
      {"tensors",
       {.tensors = repeated(100'000,
                            [](const std::string& i) {
                              return Tensor(std::string(200 - i.size(), 'w') + i, {0, 1, 1, 1}, kF32, 0);
                            })},
       200},
  };
  for (const auto& [what, parts, memory_mib] : cases) {
    const std::string bytes = File(parts);
    const ChildCost cost = CostInChild([&] { ParseText(bytes); });
    EXPECT_TRUE(cost.ended) << what;
    EXPECT_EQ(cost.refusal, "") << what;
    EXPECT_LT(cost.cpu_s, 3 * kTimeAllowance) << what;
    EXPECT_LT(cost.memory_mib, memory_mib * kMemoryAllowance) << what;
  }
}

// As ComfyUI-GGUF writes what does not fit ggml.
TEST(Gguf, ATensorHasTheShapeThatItHadBeforeItWasWritten) {
  testing::GgufWriter file;
  file.AddOwnTensor("a.weight", Dtype::Q8_0, {6, 32}, std::vector<uint8_t>(6 * 34));
  file.Numbers<int32_t>("comfy.gguf.orig_shape.a.weight", {12, 16});
  file.Numbers<int32_t>("comfy.gguf.orig_shape.b.weight", {1});
  const std::string bytes = file.Bytes();
  const std::span<const uint8_t> view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const auto read = GgufFile::Parse(view, "x.gguf");
  EXPECT_EQ(ShapeText(read->Find("a.weight")->shape), "[12, 16]");
  EXPECT_EQ(read->Find("a.weight")->byte_count, 6u * 34);

  for (const std::vector<int32_t>& wrong : {std::vector<int32_t>{12, 17}, {-12, -16}, {}, {1, 1, 1, 1, 1, 1, 1, 1, 192}}) {
    testing::GgufWriter other;
    other.AddOwnTensor("a.weight", Dtype::Q8_0, {6, 32}, std::vector<uint8_t>(6 * 34));
    other.Numbers<int32_t>("comfy.gguf.orig_shape.a.weight", wrong);
    const std::string damaged = other.Bytes();
    const std::string error = ErrorOf([&] {
      GgufFile::Parse({reinterpret_cast<const uint8_t*>(damaged.data()), damaged.size()}, "x.gguf");
    });
    EXPECT_EQ(error.rfind("x.gguf: metadata comfy.gguf.orig_shape.a.weight: the tensor has shape [6, 32], expected one "
                          "of as many elements, found [", 0), 0) << error;
  }
}

}  // namespace
}  // namespace diptych
