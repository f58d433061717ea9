// What ComfyUI's users have is the same model as the folder that it was made from: the same tensors where they lie, the
// same fingerprint.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/weights/fingerprint.h"
#include "common/weights/model_files.h"
#include "common/weights/weight_need.h"
#include "common/weights/weight_view.h"
#include "tests/support/comfyui_files.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

using testing::ComfyUiFile;
using testing::ErrorOf;
using testing::TemporaryFolder;

constexpr const char* kToys[] = {"toy_a", "toy_b"};

struct Part {
  ModelPart part;
  const char* folder;
  void (ComfyUiFile::*add)(const Checkpoint& folder, const std::string& prefix);
  std::vector<std::string> prefixes;
};
const Part kParts[] = {{ModelPart::kTransformer,
                        "transformer",
                        &ComfyUiFile::AddTransformer,
                        {"", "model.diffusion_model.", "diffusion_model."}},
                       {ModelPart::kVae, "vae", &ComfyUiFile::AddVae, {"", "first_stage_model.", "vae."}},
                       {ModelPart::kTextEncoder,
                        "text_encoder",
                        &ComfyUiFile::AddTextEncoder,
                        {"", "text_encoders.qwen3_4b.transformer.", "cond_stage_model.transformer."}}};

std::shared_ptr<const Checkpoint> FolderOf(const std::string& toy, const Part& part) {
  return Checkpoint::Open(DIPTYCH_SOURCE_DIR "/tests/parity/data/" + toy + "/" + part.folder, part.part);
}

void ExpectSameModel(const Checkpoint& found, const Checkpoint& wanted) {
  EXPECT_EQ(CheckpointFingerprint(found, "facts"), CheckpointFingerprint(wanted, "facts"));
  ASSERT_EQ(found.tensors().size(), wanted.tensors().size());
  for (const auto& [name, tensor] : wanted.tensors()) {
    const TensorEntry* entry = found.Find(name);
    ASSERT_TRUE(entry != nullptr) << name;
    EXPECT_EQ(entry->name, name);
    EXPECT_EQ(entry->shape, tensor.entry->shape) << name;
  }
}

TEST(SingleFile, IsTheModelThatItWasMadeFrom) {
  for (const std::string toy : kToys) {
    for (const Part& part : kParts) {
      const auto folder = FolderOf(toy, part);
      for (const std::string& prefix : part.prefixes) {
        SCOPED_TRACE(toy + " " + part.folder + " " + prefix);
        const TemporaryFolder scratch;
        ComfyUiFile file;
        (file.*part.add)(*folder, prefix);
        file.Write(scratch / "single.safetensors");
        const auto single = Checkpoint::Open(scratch / "single.safetensors", part.part);
        ExpectSameModel(*single, *folder);
        EXPECT_TRUE(single->warnings().empty());
        const WeightNeed need = NeedOf(*single, Dtype::F32), wanted = NeedOf(*folder, Dtype::F32);
        EXPECT_EQ(need.copied, wanted.copied);
        EXPECT_EQ(need.mapped, wanted.mapped);
        const WeightView view(single, at::kCPU, at::kFloat), other(folder, at::kCPU, at::kFloat);
        for (const auto& [name, tensor] : folder->tensors()) {
          const at::IntArrayRef shape(tensor.entry->shape);
          EXPECT_TRUE(at::equal((view / name).Tensor(shape), (other / name).Tensor(shape))) << name;
        }
      }
    }
  }
}

TEST(SingleFile, IsUsedWhereItLies) {
  const auto folder = FolderOf("toy_a", kParts[0]);
  const TemporaryFolder scratch;
  ComfyUiFile file;
  file.AddTransformer(*folder, "model.diffusion_model.");
  file.Write(scratch / "single.safetensors");
  const auto single = Checkpoint::Open(scratch / "single.safetensors", ModelPart::kTransformer);
  const WeightView view(single, at::kCPU, at::kFloat);
  const at::Tensor q = (view / "layers.1.attention.to_q.weight").Tensor({32, 32});
  const at::Tensor k = (view / "layers.1.attention.to_k.weight").Tensor({32, 32});
  EXPECT_TRUE(static_cast<const uint8_t*>(k.data_ptr()) ==
              static_cast<const uint8_t*>(q.data_ptr()) + 32 * 32 * sizeof(float));
  EXPECT_TRUE(single->IsUsedInPlace());
}

TEST(SingleFile, IsWatchedTensorByTensor) {
  const auto folder = FolderOf("toy_a", kParts[0]);
  const TemporaryFolder scratch;
  const std::string path = scratch / "single.safetensors";
  ComfyUiFile file;
  file.AddTransformer(*folder, "");
  file.Write(path);
  const auto single = Checkpoint::Open(path, ModelPart::kTransformer);
  single->MarkUsedInPlace();
  std::vector<std::string> hashes;
  CheckpointFingerprint(*single, "facts", 0, &hashes);
  ModelFiles files({.just_changed = [](const FileFacts&) { return false; }, .settled = {}});
  files.AddWeights(single, std::move(hashes));
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(10));
  EXPECT_NE(ErrorOf([&] { files.ThrowIfChanged(); }), "");
  files.Look();
  EXPECT_EQ(ErrorOf([&] { files.ThrowIfChanged(); }), "");
  std::fstream bytes(path, std::ios::binary | std::ios::in | std::ios::out);
  bytes.seekp(-1, std::ios::end);
  bytes.put('\x7f');
  bytes.close();
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(20));
  files.Look();
  EXPECT_NE(ErrorOf([&] { files.ThrowIfChanged(); }).find("its weights are not those that were loaded"),
            std::string::npos);
}

// A checkpoint as ComfyUI saves it, everything in one file.
TEST(SingleFile, MayHoldAllPartsAndOthers) {
  const TemporaryFolder scratch;
  for (const std::string toy : kToys) {
    ComfyUiFile file;
    std::vector<std::shared_ptr<const Checkpoint>> folders;
    for (const Part& part : kParts) {
      folders.push_back(FolderOf(toy, part));
      (file.*part.add)(*folders.back(), part.prefixes[1]);
    }
    for (int i = 0; i < 400; ++i) file.AddOther("text_encoders.clip_l.transformer.thing." + std::to_string(i));
    file.AddOther("model.diffusion_model.norm_final.weight");
    file.Write(scratch / "all.safetensors");
    for (size_t i = 0; i < folders.size(); ++i) {
      SCOPED_TRACE(toy + " " + kParts[i].folder);
      const auto part = Checkpoint::Open(scratch / "all.safetensors", kParts[i].part);
      ExpectSameModel(*part, *folders[i]);
      ASSERT_EQ(part->warnings().size(), 1u);
      const std::string& warning = part->warnings()[0];
      EXPECT_NE(warning.find(" tensors of other models, which are not loaded: "), std::string::npos) << warning;
      EXPECT_LT(warning.size(), 500u);
    }
  }
}

TEST(SingleFile, NamesAMissingTensorAsTheModelAndAsTheFileDoes) {
  const auto folder = FolderOf("toy_a", kParts[0]);
  const TemporaryFolder scratch;
  ComfyUiFile file;
  file.AddTransformer(*folder, "diffusion_model.");
  const std::string path = scratch / "single.safetensors";
  file.Write(path);
  const WeightView view(Checkpoint::Open(path, ModelPart::kTransformer), at::kCPU, at::kFloat);
  EXPECT_EQ(ErrorOf([&] {
              (view / "layers.7.attention.to_v.weight").Tensor({32, 32});
            }),
            "tensor layers.7.attention.to_v.weight is missing from " + path +
                ", where it would be diffusion_model.layers.7.attention.qkv.weight; expected shape [32, 32]");
}

}  // namespace
}  // namespace diptych
