#include "common/weights/safetensors.h"

#include <gtest/gtest.h>

#include "tests/support/child_cost.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::BytesOf;
using testing::ErrorOf;
using testing::RawFile;
using testing::ReadText;
using testing::TemporaryFolder;
using testing::WriteText;

std::shared_ptr<const SafetensorsFile> ParseText(const std::string& file) {
  return SafetensorsFile::Parse({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "file");
}

// The error for a file with this header and this much data.
std::string Refusal(const std::string& header, size_t data_bytes) {
  return ErrorOf([&] { ParseText(RawFile(header, data_bytes)); });
}

// A header with one tensor, "w".
std::string OneTensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"w":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

TEST(Safetensors, ReadsBackWhatWasWritten) {
  const TemporaryFolder folder;
  const std::vector<float> matrix = {1.5f, -2.0f, 3.25f, 0.0f, 5.0f, -6.5f};
  const std::vector<uint16_t> halves = {0x3f80, 0xc000};
  const std::vector<uint8_t> flags = {1, 0, 1};
  WriteSafetensors(folder / "a.safetensors",
                   {{{"flags", Dtype::BOOL, {3}}, BytesOf(flags)},
                    {{"halves", Dtype::BF16, {1, 2}}, BytesOf(halves)},
                    {{"matrix", Dtype::F32, {2, 3}}, BytesOf(matrix)},
                    {{"nothing", Dtype::I64, {0, 4}}, {}}},
                   {{"format", "pt"}});

  const auto file = SafetensorsFile::Open(folder / "a.safetensors");
  EXPECT_EQ(file->tensors().size(), 4u);
  EXPECT_EQ(file->metadata().at("format"), "pt");
  const TensorEntry* read = file->Find("matrix");
  ASSERT_TRUE(read != nullptr);
  EXPECT_TRUE(read->dtype == Dtype::F32);
  EXPECT_EQ(ShapeText(read->shape), "[2, 3]");
  ASSERT_EQ(read->byte_count, 24u);
  EXPECT_EQ(std::memcmp(read->data, matrix.data(), 24), 0);
  EXPECT_EQ(std::memcmp(file->Find("halves")->data, halves.data(), 4), 0);
  EXPECT_EQ(std::memcmp(file->Find("flags")->data, flags.data(), 3), 0);
  EXPECT_EQ(file->Find("nothing")->byte_count, 0u);
  EXPECT_TRUE(file->Find("absent") == nullptr);
}

TEST(Safetensors, AlignsEveryTensorToItsElementsAndLeavesNoTemporaryFile) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> odd = {7, 7, 7};
  const std::vector<float> value = {1.0f};
  const std::vector<double> wide = {2.0};
  WriteSafetensors(folder / "a.safetensors", {{{"a_odd", Dtype::U8, {3}}, BytesOf(odd)},
                                              {{"b_value", Dtype::F32, {1}}, BytesOf(value)},
                                              {{"c_wide", Dtype::F64, {}}, BytesOf(wide)}});
  const auto file = SafetensorsFile::Open(folder / "a.safetensors");
  for (const auto& [name, entry] : file->tensors()) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(entry.data) % ByteSize(entry.dtype), 0u) << name;
  }
  const std::filesystem::directory_iterator entries(folder.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST(Safetensors, WritesEqualBytesInAnyOrderOfTensors) {
  const TemporaryFolder folder;
  const std::vector<float> values = {1.0f, 2.0f};
  const TensorToWrite a = {{"a", Dtype::F32, {2}}, BytesOf(values)};
  const TensorToWrite b = {{"b", Dtype::F32, {1, 2}}, BytesOf(values)};
  WriteSafetensors(folder / "ab.safetensors", {a, b});
  WriteSafetensors(folder / "ba.safetensors", {b, a});
  EXPECT_EQ(ReadText(folder / "ab.safetensors"), ReadText(folder / "ba.safetensors"));
}

TEST(Safetensors, WriterRefusesWhatItCouldNotReadBack) {
  const TemporaryFolder folder;
  const std::vector<float> values = {1.0f, 2.0f};
  const TensorToWrite a = {{"a", Dtype::F32, {2}}, BytesOf(values)};
  const TensorToWrite wrong_size = {{"a", Dtype::F32, {3}}, BytesOf(values)};
  const std::string path = folder / "a.safetensors";
  EXPECT_EQ(ErrorOf([&] { WriteSafetensors(path, {a, a}); }), path + ": tensor a is given twice");
  EXPECT_EQ(ErrorOf([&] { WriteSafetensors(path, {wrong_size}); }),
            path + ": tensor a of shape [3] needs 12 bytes, given 8");
  EXPECT_NE(ErrorOf([&] { WriteSafetensors(folder / "absent/a.safetensors", {a}); }), "");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Safetensors, TellsExpectedAndFoundSizeOfTruncatedFile) {
  const std::string whole = RawFile(OneTensor("\"F32\"", "[2]", "[0,8]"), 8);
  EXPECT_EQ(ParseText(whole)->tensors().size(), 1u);
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string message = ErrorOf([&] { ParseText(whole.substr(0, size)); });
    EXPECT_NE(message.find("file is truncated: expected "), std::string::npos) << size << ": " << message;
    EXPECT_NE(message.find(", found " + std::to_string(size)), std::string::npos) << size << ": " << message;
  }
  EXPECT_EQ(ErrorOf([&] { ParseText(whole.substr(0, whole.size() - 3)); }),
            "file: file is truncated: expected " + std::to_string(whole.size()) + " bytes, found " +
                std::to_string(whole.size() - 3));
}

TEST(Safetensors, RefusesBytesBehindTheLastTensor) {
  const std::string header = OneTensor("\"U8\"", "[4]", "[0,4]");
  EXPECT_EQ(Refusal(header, 5), "file: file has bytes after its last tensor: expected " +
                                    std::to_string(12 + header.size()) + " bytes, found " +
                                    std::to_string(13 + header.size()));
}

TEST(Safetensors, RefusesHeaderLengthBeyondTheLimit) {
  EXPECT_EQ(ErrorOf([] { ParseText(std::string(8, '\x7f') + "{}"); }),
            "file: header length 9187201950435737471 exceeds 16777216; is this a safetensors file?");
}

TEST(Safetensors, RefusesHeaderThatIsNotOneJsonObject) {
  EXPECT_EQ(Refusal("{\"w\":", 0), "file: header: not valid JSON: it ends too early");
  EXPECT_EQ(Refusal("", 0), "file: header: not valid JSON: it ends too early");
  EXPECT_EQ(Refusal("[1]", 0), "file: header: expected a JSON object");
  EXPECT_EQ(Refusal("{} {}", 0), "file: header: not valid JSON: wrong at byte 4");
  EXPECT_EQ(Refusal("{\"w\":[[[[1]]]]}", 0), "file: header: nested deeper than 3 levels");
  EXPECT_EQ(Refusal("{\"w\":1e999}", 0), "file: header: not valid JSON: a number is out of range");
  EXPECT_EQ(Refusal("{\"\xff\":1}", 0), "file: header: not valid JSON: wrong at byte 3");
}

TEST(Safetensors, RefusesRepeatedNameAndRepeatedKey) {
  const std::string tensor = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  const auto twice = ParseText(RawFile("{\"w\":" + tensor + ",\"w\":" + tensor + "}", 1));
  EXPECT_TRUE(twice->Find("w") != nullptr) << "the last counts, as in safetensors 0.8.0";
  EXPECT_EQ(twice->warnings(), std::vector<std::string>{"file: its header has \"w\" twice; the last one counts"});
  EXPECT_EQ(Refusal(R"({"w":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1),
            "file: header: key \"dtype\" appears twice");
}

TEST(Safetensors, NamesTensorAndDtypeThatItDoesNotKnow) {
  const auto file = ParseText(RawFile(OneTensor("\"F7\"", "[4]", "[0,3]"), 3));
  ASSERT_TRUE(file->Find("w") != nullptr) << "a file with a tensor that nobody needs is read";
  EXPECT_EQ(file->Find("w")->dtype, Dtype::kOther);
  EXPECT_EQ(file->Find("w")->dtype_name(), "F7");
  EXPECT_EQ(file->Find("w")->byte_count, 3u);
  EXPECT_EQ(Refusal(OneTensor("7", "[1]", "[0,1]"), 1), "file: tensor w: expected a string \"dtype\"");
}

TEST(Safetensors, RefusesImpossibleShapes) {
  EXPECT_EQ(Refusal(OneTensor("\"U8\"", "[-1]", "[0,1]"), 1),
            "file: tensor w: \"shape\" holds -1, expected whole numbers from 0");
  EXPECT_EQ(Refusal(OneTensor("\"U8\"", "[1.5]", "[0,1]"), 1),
            "file: tensor w: \"shape\" holds 1.5, expected whole numbers from 0");
  EXPECT_EQ(Refusal(OneTensor("\"U8\"", "[9223372036854775808]", "[0,1]"), 1),
            "file: tensor w: \"shape\" holds 9223372036854775808, expected whole numbers from 0");
  EXPECT_EQ(Refusal(OneTensor("\"U8\"", "4", "[0,1]"), 1), "file: tensor w: expected an array \"shape\"");
  // 2^33 * 2^31 = 2^64 would wrap to zero bytes.
  EXPECT_EQ(Refusal(OneTensor("\"U8\"", "[8589934592,2147483648]", "[0,0]"), 0),
            "file: tensor w: shape [8589934592, 2147483648] is larger than any file");
}

TEST(Safetensors, RefusesOffsetsThatDoNotFitTheShapeOrTheFile) {
  EXPECT_EQ(Refusal(OneTensor("\"F32\"", "[2]", "[0,4]"), 4),
            "file: tensor w: shape [2] in F32 needs 8 bytes, data_offsets [0, 4) hold 4");
  EXPECT_EQ(Refusal(OneTensor("\"U8\"", "[1]", "[1,0]"), 1), "file: tensor w: data_offsets [1, 0) run backwards");
  EXPECT_EQ(Refusal(OneTensor("\"U8\"", "[1]", "[0]"), 1), "file: tensor w: data_offsets has 1 values, expected 2");
  EXPECT_EQ(Refusal(OneTensor("\"U8\"", "[1]", "[-1,0]"), 1),
            "file: tensor w: \"data_offsets\" holds -1, expected whole numbers from 0");
  EXPECT_NE(Refusal(OneTensor("\"U8\"", "[9]", "[0,9]"), 8).find("file is truncated"), std::string::npos);
}

TEST(Safetensors, RefusesOverlapsAndHoles) {
  const auto two = [](const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":)" +
           second + "}}";
  };
  EXPECT_EQ(Refusal(two("[4,6]"), 6), "");
  EXPECT_EQ(Refusal(two("[3,5]"), 5),
            "file: tensor b: data_offsets [3, 5) overlap another tensor, expected to begin at 4");
  EXPECT_EQ(Refusal(two("[5,7]"), 7), "file: tensor b: data_offsets [5, 7) leave a hole, expected to begin at 4");
  EXPECT_EQ(Refusal(OneTensor("\"U8\"", "[1]", "[1,2]"), 2),
            "file: tensor w: data_offsets [1, 2) leave a hole, expected to begin at 0");
}

TEST(Safetensors, PassesOverNamesThatWouldSpoilAMessage) {
  for (const std::string& name : {std::string("a\\nb"), std::string(1025, 'x')}) {
    const auto file = ParseText(RawFile("{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1));
    EXPECT_TRUE(file->tensors().empty());
    ASSERT_EQ(file->warnings().size(), 1u);
    EXPECT_EQ(file->warnings()[0].find('\n'), std::string::npos);
    EXPECT_LT(file->warnings()[0].size(), 400u);
  }
}

// What safetensors 0.8.0 opens and what it does not, each tried there.
TEST(Safetensors, OpensWhatTheReferenceOpens) {
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const auto opens = [&](const std::string& header, size_t data = 8) {
    return ErrorOf([&] { ParseText(RawFile(header, data)); });
  };
  EXPECT_EQ(opens("{\"__metadata__\":null," + a + "}"), "");
  EXPECT_EQ(opens("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}," + a + "}"), "");
  EXPECT_EQ(opens("{" + a + "}\n\n  "), "");
  EXPECT_EQ(opens("\n {" + a + "}"), "");
  EXPECT_EQ(opens("{" + a + R"(,"e":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}})"), "");
  EXPECT_EQ(opens("{" + a + R"(,"e":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]}})"), "");
  EXPECT_EQ(opens(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})"), "");
  EXPECT_EQ(opens("{}", 0), "");
  for (const char* dtype : {"F4", "F6_E2M3", "F8_E8M0", "F8_E4M3FNUZ", "C64"}) {
    EXPECT_EQ(opens("{" + a + R"(,"z":{"dtype":")" + dtype + R"(","shape":[16],"data_offsets":[8,16]}})", 16), "")
        << dtype;
  }
  EXPECT_NE(opens("{\"__metadata__\":{\"k\":null}," + a + "}"), "");
  EXPECT_NE(opens("{" + a + R"(,"e":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}})"), "");
  EXPECT_NE(opens("{" + a + "}", 9), "");
  EXPECT_NE(opens("", 0), "");
}

TEST(Safetensors, RefusesMetadataThatIsNotText) {
  EXPECT_EQ(Refusal(R"({"__metadata__":[]})", 0), "file: __metadata__ is not an object");
  EXPECT_EQ(Refusal(R"({"__metadata__":{"a":1}})", 0), "file: __metadata__ value of \"a\" is not a string");
  EXPECT_EQ(ParseText(RawFile(R"({"__metadata__":{"a":"b"}}  )", 0))->metadata().at("a"), "b");
}

TEST(Safetensors, SaysWhyAFileCannotBeOpened) {
  const TemporaryFolder folder;
  EXPECT_EQ(ErrorOf([&] { SafetensorsFile::Open(folder / "absent"); }),
            (folder / "absent") + ": No such file or directory");
  EXPECT_EQ(ErrorOf([&] { SafetensorsFile::Open(folder.path()); }), folder.path() + ": a folder, expected a file");
  WriteText(folder / "empty", "");
  EXPECT_EQ(ErrorOf([&] { SafetensorsFile::Open(folder / "empty"); }),
            (folder / "empty") + ": this is an empty file: its download has not begun, or its disk was full");
}

// A header that says nothing but names: the longest that is read, and the longest of the format.
TEST(Safetensors, HeadersTakeMemoryAndTimeWithinABound) {
  const auto file = [](size_t header_bytes, bool of_tensors) {
    std::string header = "{";
    for (size_t i = 0; header.size() + 80 < header_bytes; ++i) {
      header += "\"" + std::to_string(i) + "\":";
      header += of_tensors ? R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]},)" : "{},";
    }
    header += R"("__metadata__":{}})";
    std::string bytes(8, '\0');
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i));
    return bytes + header;
  };
  for (const auto& [header_bytes, of_tensors] : {std::pair(size_t{6} << 20, true),
                                                 {(size_t{16} << 20) - 100, true},
                                                 {(size_t{16} << 20) - 100, false},
                                                 {size_t{93'000'000}, true}}) {
    const std::string bytes = file(header_bytes, of_tensors);
    const ChildCost cost = CostInChild([&] {
      SafetensorsFile::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "f");
    });
    EXPECT_TRUE(cost.ended) << header_bytes;
    EXPECT_LT(cost.cpu_s, 3 * kTimeAllowance) << header_bytes;
    EXPECT_LT(cost.memory_mib, 250 * kMemoryAllowance) << header_bytes;
    EXPECT_EQ(cost.refusal.empty(), header_bytes == size_t{6} << 20) << cost.refusal;
  }
}

}  // namespace
}  // namespace diptych
