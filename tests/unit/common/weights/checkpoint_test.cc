#include "common/weights/checkpoint.h"

#include <gtest/gtest.h>

#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::BytesOf;
using testing::ErrorOf;
using testing::RawFile;
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
                ": each of diffusion_pytorch_model.fp16.safetensors, other.safetensors could be the model; give one of "
                "the files instead of the folder, or call it model.safetensors");
  WriteOne(folder / "diffusion_pytorch_model.safetensors", "full");
  EXPECT_TRUE(Checkpoint::Open(folder.path())->Find("full") != nullptr);
}

TEST(Checkpoint, RefusesFolderWithoutWeights) {
  const TemporaryFolder folder;
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder.path()); }),
            folder.path() + ": no *.safetensors, *.safetensors.index.json or *.gguf in this folder");
  EXPECT_EQ(ErrorOf([&] { Checkpoint::Open(folder / "absent"); }), (folder / "absent") + ": No such file or directory");
}

TEST(Checkpoint, MissesAListedTensorOnlyWhenItIsNeeded) {
  const TemporaryFolder folder;
  WriteOne(folder / "one.safetensors", "w");
  WriteIndex(folder.path(), R"({"w":"one.safetensors","v":"one.safetensors"})");
  const auto checkpoint = Checkpoint::Open(folder.path());
  EXPECT_EQ(checkpoint->tensors().size(), 1u);
  EXPECT_EQ(checkpoint->Absent("v"),
            ": model.safetensors.index.json lists it in one.safetensors, which has no such tensor");
  EXPECT_EQ(checkpoint->Absent("u"), "");
}

TEST(Checkpoint, MissesAShardOnlyWhenItIsNeeded) {
  const TemporaryFolder folder;
  WriteOne(folder / "one.safetensors", "w");
  WriteIndex(folder.path(), R"({"w":"one.safetensors","v":"two.safetensors"})");
  const auto checkpoint = Checkpoint::Open(folder.path());
  EXPECT_TRUE(checkpoint->Find("w") != nullptr);
  EXPECT_EQ(checkpoint->Absent("v"), ": its shard two.safetensors is not there");
  ASSERT_EQ(checkpoint->warnings().size(), 1u);
  EXPECT_EQ(checkpoint->warnings()[0], (folder / "two.safetensors") +
                                           ": No such file or directory; model.safetensors.index.json lists 1 tensors "
                                           "in it");
}

// transformers 5.24.0: model.safetensors, then its index. diffusers 0.42.1: the index, then the file.
TEST(Checkpoint, TakesFileOrIndexAsTheLibrariesDo) {
  const TemporaryFolder folder;
  WriteOne(folder / "one.safetensors", "of the shard");
  for (const std::string base : {"diffusion_pytorch_model", "model"}) {
    const bool file_first = base == "model";
    WriteOne(folder / (base + ".safetensors"), "alone");
    WriteText(folder / (base + ".safetensors.index.json"), R"({"weight_map":{"of the shard":"one.safetensors"}})");
    const auto checkpoint = Checkpoint::Open(folder.path());
    EXPECT_EQ(checkpoint->Find("alone") != nullptr, file_first) << base;
    EXPECT_EQ(checkpoint->Find("of the shard") != nullptr, !file_first) << base;
    ASSERT_EQ(checkpoint->warnings().size(), 1u) << base;
    EXPECT_NE(checkpoint->warnings()[0].find("passed over"), std::string::npos) << checkpoint->warnings()[0];
  }
}

TEST(Checkpoint, TakesTheFileWhenTheShardsOfItsIndexAreGone) {
  for (const std::string base : {"diffusion_pytorch_model", "model"}) {
    const TemporaryFolder folder;
    WriteOne(folder / (base + ".safetensors"), "alone");
    WriteText(folder / (base + ".safetensors.index.json"), R"({"weight_map":{"w":"gone.safetensors"}})");
    const auto checkpoint = Checkpoint::Open(folder.path());
    EXPECT_TRUE(checkpoint->Find("alone") != nullptr) << base;
    EXPECT_EQ(checkpoint->warnings().size(), 1u) << base;
  }
}

TEST(Checkpoint, TakesAVariantWhenItIsTheOnlyOne) {
  for (const std::string index :
       {"model.safetensors.index.fp16.json", "diffusion_pytorch_model.safetensors.fp16.index.json",
        "diffusion_pytorch_model.fp16.safetensors.index.json"}) {
    const TemporaryFolder folder;
    WriteOne(folder / "model.fp16-00001-of-00001.safetensors", "w");
    WriteText(folder / index, R"({"weight_map":{"w":"model.fp16-00001-of-00001.safetensors"}})");
    EXPECT_TRUE(Checkpoint::Open(folder.path())->Find("w") != nullptr) << index;
  }
}

TEST(Checkpoint, AsksForWhatIsMissingFromAFolder) {
  const auto said_with = [](const std::vector<std::string>& names) {
    const TemporaryFolder folder;
    for (const std::string& name : names) WriteText(folder / name, "GGUF and more");
    return ErrorOf([&] { Checkpoint::Open(folder.path()); }).substr(folder.path().size());
  };
  EXPECT_EQ(said_with({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}),
            ": the shards model-00001-of-00002.safetensors, model-00002-of-00002.safetensors lie here without their "
            "index; put model.safetensors.index.json of the same model beside them");
  EXPECT_EQ(said_with({"model.safetensors.part"}),
            ": no *.safetensors here, but model.safetensors.part: a download that has not ended");
  EXPECT_EQ(said_with({"a.gguf", "b.gguf"}).find(": each of a.gguf, b.gguf could be the model"), 0u)
      << said_with({"a.gguf", "b.gguf"});
  EXPECT_EQ(said_with({"pytorch_model.bin"}).find(": no *.safetensors and no *.gguf here; pytorch_model.bin is "), 0u);
}

TEST(Checkpoint, SaysWhatAFileIsThatIsNoSafetensors) {
  const TemporaryFolder folder;
  const auto said_of = [&](const std::string& bytes) {
    WriteText(folder / "model.safetensors", bytes);
    return ErrorOf([&] { Checkpoint::Open(folder.path()); });
  };
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '0') + "\nsize 8\n";
  EXPECT_NE(said_of(pointer).find("this is a git-lfs pointer"), std::string::npos) << said_of(pointer);
  EXPECT_NE(said_of("<!DOCTYPE html><html>").find("a page (HTML)"), std::string::npos);
  EXPECT_NE(said_of("Entry not found").find("an error message of the server"), std::string::npos);
  EXPECT_NE(said_of("PK\3\4 and more bytes").find("a zip archive"), std::string::npos);
  EXPECT_NE(said_of("").find("an empty file"), std::string::npos);
  EXPECT_NE(said_of(std::string(4096, '\0')).find("nothing but zeros"), std::string::npos);
  const std::string cut = RawFile(R"({"w":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}})", 8);
  WriteText(folder / "model.safetensors.aria2", "");
  EXPECT_NE(said_of(cut).find("; its download or copy was cut short, but model.safetensors.aria2 lies beside it"),
            std::string::npos)
      << said_of(cut);
}

TEST(Checkpoint, NamesTheShardThatIsAbsent) {
  const TemporaryFolder folder;
  WriteIndex(folder.path(), R"({"w":"one.safetensors"})");
  EXPECT_EQ(
      ErrorOf([&] { Checkpoint::Open(folder.path()); }),
      (folder / "one.safetensors") + ": No such file or directory; model.safetensors.index.json lists 1 tensors in it");
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
  WriteOne(folder / "b", "w");
  EXPECT_TRUE(Checkpoint::Open(folder.path())->Find("w") != nullptr) << "the last counts, as in Python";
}

TEST(Checkpoint, WriterRecordsTheTotalSizeInItsIndex) {
  const TemporaryFolder folder;
  WriteKnown(folder.path(), 40);
  const std::string index = ReadText(folder / "model.safetensors.index.json");
  EXPECT_NE(index.find("\"total_size\": 78"), std::string::npos) << index;  // 24 + 16 + 10 + 28 bytes
}

}  // namespace
}  // namespace diptych
