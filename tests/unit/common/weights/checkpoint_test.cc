#include "common/weights/checkpoint.h"

#include <gtest/gtest.h>

#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::BytesOf;
using testing::ErrorOf;
using testing::ReadText;
using testing::TemporaryFolder;
using testing::WriteText;

const std::vector<TensorSpec> kSpecs = {
    {"a", Dtype::F32, {2, 3}}, {"b.0", Dtype::F32, {4}}, {"b.1", Dtype::BF16, {5}}, {"c", Dtype::F32, {7}}};

void FillByName(const TensorSpec& spec, std::span<uint8_t> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(spec.name.back() + 31 * i);
}

void WriteKnown(const std::string& folder, uint64_t max_shard_bytes) {
  WriteCheckpoint(folder, "model", kSpecs, FillByName, max_shard_bytes, {{"format", "pt"}});
}

void WriteOne(const std::string& path, const std::string& tensor) {
  static const std::vector<float> value = {1.0f};
  WriteSafetensors(path, {{{tensor, Dtype::F32, {1}}, BytesOf(value)}});
}

void WriteIndex(const std::string& folder, const std::string& weight_map) {
  WriteText(folder + "/model.safetensors.index.json", "{\"weight_map\":" + weight_map + "}");
}

TEST(Checkpoint, ReadsTheSameTensorsFromShardsAsFromOneFile) {
  const TemporaryFolder single, sharded;
  WriteKnown(single.path(), 1 << 20);
  WriteKnown(sharded.path(), 30);
  EXPECT_TRUE(std::filesystem::exists(single / "model.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(sharded / "model-00001-of-00003.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(sharded / "model-00003-of-00003.safetensors"));

  const auto one = Checkpoint::Open(single.path());
  const auto many = Checkpoint::Open(sharded.path());
  ASSERT_EQ(one->tensors().size(), kSpecs.size());
  ASSERT_EQ(many->tensors().size(), kSpecs.size());
  for (const auto& [name, tensor] : one->tensors()) {
    const TensorEntry* other = many->Find(name);
    ASSERT_TRUE(other != nullptr) << name;
    EXPECT_EQ(tensor.entry->shape, other->shape) << name;
    ASSERT_EQ(tensor.entry->byte_count, other->byte_count) << name;
    EXPECT_EQ(std::memcmp(tensor.entry->data, other->data, other->byte_count), 0) << name;
  }
  EXPECT_TRUE(many->Find("d") == nullptr);
  EXPECT_EQ(many->tensors().at("c").file->path(), sharded / "model-00003-of-00003.safetensors");
}

TEST(Checkpoint, OpensAFileByItsName) {
  const TemporaryFolder folder;
  WriteOne(folder / "anything.safetensors", "w");
  EXPECT_TRUE(Checkpoint::Open(folder / "anything.safetensors")->Find("w") != nullptr);
  EXPECT_TRUE(Checkpoint::Open(folder.path())->Find("w") != nullptr);
}

TEST(Checkpoint, TakesTheUsualNameAmongSeveralFiles) {
  const TemporaryFolder folder;
  WriteOne(folder / "diffusion_pytorch_model.fp16.safetensors", "half");
  WriteOne(folder / "other.safetensors", "other");
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder.path()); }),
            folder.path() +
                ": both diffusion_pytorch_model.fp16.safetensors and other.safetensors could be the model; name one "
                "of the files instead of the folder");
  WriteOne(folder / "diffusion_pytorch_model.safetensors", "full");
  EXPECT_TRUE(Checkpoint::Open(folder.path())->Find("full") != nullptr);
}

TEST(Checkpoint, RefusesFolderWithoutWeights) {
  const TemporaryFolder folder;
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder.path()); }),
            folder.path() + ": no *.safetensors and no *.safetensors.index.json in this folder");
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder / "absent"); }), (folder / "absent") + ": No such file or directory");
}

TEST(Checkpoint, NamesTensorAndShardWhenAListedTensorIsAbsent) {
  const TemporaryFolder folder;
  WriteOne(folder / "one.safetensors", "w");
  WriteIndex(folder.path(), R"({"w":"one.safetensors","v":"one.safetensors"})");
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder.path()); }),
            (folder / "model.safetensors.index.json") + ": tensor \"v\" is listed but missing from one.safetensors");
}

TEST(Checkpoint, NamesTheShardThatIsAbsent) {
  const TemporaryFolder folder;
  WriteIndex(folder.path(), R"({"w":"one.safetensors"})");
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder.path()); }),
            (folder / "one.safetensors") + ": No such file or directory");
}

TEST(Checkpoint, RefusesShardsOutsideItsFolder) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "inner");
  WriteOne(folder / "one.safetensors", "w");
  for (const std::string shard : {"\"../one.safetensors\"", "\"..\"", "\"/one.safetensors\"", "\"\"", "7",
                                  "\"one.safetensors\\u0000\"", "\"a\\\\b\""}) {
    WriteIndex(folder / "inner", "{\"w\":" + shard + "}");
    const std::string message = ErrorOf([&] { Checkpoint::Open(folder / "inner"); });
    EXPECT_NE(message.find("expected the name of a file beside it"), std::string::npos) << shard << ": " << message;
  }
}

TEST(Checkpoint, RefusesIndexThatIsNotAWeightMap) {
  const TemporaryFolder folder;
  const std::string index = folder / "model.safetensors.index.json";
  WriteText(index, "{\"weights\":{}}");
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder.path()); }),
            index + ": expected an object \"weight_map\" of tensor names and file names");
  WriteText(index, "{");
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder.path()); }), index + ": not valid JSON: it ends too early");
  WriteIndex(folder.path(), R"({"w":"a","w":"b"})");
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder.path()); }), index + ": key \"w\" appears twice");
}

TEST(Checkpoint, WriterRecordsTheTotalSizeInItsIndex) {
  const TemporaryFolder folder;
  WriteKnown(folder.path(), 40);
  const std::string index = ReadText(folder / "model.safetensors.index.json");
  EXPECT_NE(index.find("\"total_size\": 78"), std::string::npos) << index;  // 24 + 16 + 10 + 28 bytes
}

}  // namespace
}  // namespace diptych
