#include "common/source_files/model_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/source_files/python_json.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

using testing::TemporaryFolder;
using testing::WriteText;

void MakeCheckpoint(const fs::path& folder) {
  for (const char* part : {"tokenizer", "text_encoder", "transformer", "vae"}) {
    fs::create_directories(folder / part);
    WriteText((folder / part / "config.json").string(), "{}");
    WriteText((folder / part / "model.safetensors").string(), "weights");
  }
}

TEST(ModelFolderProblem, LeavesACheckpointAlone) {
  const TemporaryFolder folder;
  MakeCheckpoint(folder / "model");
  EXPECT_EQ(ModelFolderProblem(folder / "model"), "");
  EXPECT_EQ(ModelFolderProblem(folder / "model/"), "");
  for (const char* part : {"text_encoder", "transformer", "vae"}) {
    EXPECT_EQ(PartProblem((folder / "model/") + part), "") << part;
  }
  EXPECT_EQ(PartProblem(folder / "model/vae/model.safetensors"), "");
}

TEST(PartProblem, SaysOfAMistypedPartThatItIsNotThere) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "other");
  const std::string typo = folder / "other/vaetypo";
  EXPECT_EQ(PartProblem(typo).find(typo + ": there is no such file or folder of a checkpoint ("), 0u)
      << PartProblem(typo);
}

TEST(ModelFolderProblem, PointsFromTheHuggingFaceCacheToTheSnapshot) {
  const TemporaryFolder folder;
  const std::string cache = folder / "hub/models--Tongyi-MAI--Z-Image-Turbo";
  MakeCheckpoint(cache + "/snapshots/aaaa");
  MakeCheckpoint(cache + "/snapshots/bbbb");
  fs::create_directories(cache + "/refs");
  fs::create_directories(cache + "/blobs");
  WriteText(cache + "/refs/main", "aaaa");
  const std::string what = ": a folder of the Hugging Face cache for Tongyi-MAI/Z-Image-Turbo, not the model itself; ";
  const std::string right = cache + "/snapshots/aaaa";
  for (const std::string& given :
       std::vector<std::string>{cache, cache + "/", cache + "/snapshots", cache + "/blobs"}) {
    const std::string problem = ModelFolderProblem(given);
    EXPECT_NE(problem.find(what + "give its snapshot: " + right), std::string::npos) << problem;
  }
  EXPECT_EQ(ModelFolderProblem(right), "");
  EXPECT_NE(PartProblem(cache + "/transformer").find("give its snapshot: " + right), std::string::npos);
  for (const std::string& given : std::vector<std::string>{folder.path(), folder / "hub"}) {
    const std::string problem = ModelFolderProblem(given);
    EXPECT_NE(problem.find("the cache of the Hugging Face library, not a model"), std::string::npos) << problem;
    EXPECT_NE(problem.find(right), std::string::npos) << problem;
  }
  fs::remove_all(cache + "/snapshots");
  fs::create_directories(cache + "/snapshots");
  EXPECT_EQ(ModelFolderProblem(cache), cache + what + "its folder snapshots is empty: its download has not ended");
}

TEST(ModelFolderProblem, PointsToTheFolderThatIsMeant) {
  const TemporaryFolder folder;
  MakeCheckpoint(folder / "models/z-image");
  EXPECT_EQ(ModelFolderProblem(folder / "models"),
            (folder / "models") + ": the checkpoint is in a folder of its own; give " + (folder / "models/z-image"));
  const std::string part = folder / "models/z-image/transformer";
  EXPECT_EQ(ModelFolderProblem(part),
            part + ": one part of a checkpoint; give the folder above it: " + (folder / "models/z-image"));
  EXPECT_EQ(
      PartProblem(folder / "models/z-image"),
      (folder / "models/z-image") +
          ": a whole checkpoint, expected the folder of one part; give it as --model-path, or one of its folders");
}

TEST(ModelFolderProblem, SaysHowAModelIsDownloadedWhoseNameWasGiven) {
  const std::string advice =
      "; a model of Hugging Face is downloaded first: huggingface-cli download Tongyi-MAI/Z-Image-Turbo --local-dir "
      "Z-Image-Turbo, and then given as --model-path Z-Image-Turbo";
  for (const std::string given : {"Tongyi-MAI/Z-Image-Turbo", "https://huggingface.co/Tongyi-MAI/Z-Image-Turbo",
                                  "huggingface.co/Tongyi-MAI/Z-Image-Turbo/"}) {
    EXPECT_EQ(ModelFolderProblem(given), "there is no folder " + given + advice);
  }
  for (const std::string given :
       {"absent", "/absent/folder", "./absent/folder", "../absent", "a/b/c", "a b/c", "/", "a/"}) {
    EXPECT_EQ(ModelFolderProblem(given).find("huggingface-cli"), std::string::npos) << given;
  }
}

TEST(ModelFolderProblem, SaysWhatElseWasGiven) {
  const TemporaryFolder folder;
  EXPECT_EQ(ModelFolderProblem(folder / "absent"), "there is no folder " + (folder / "absent"));
  fs::create_symlink("/nowhere/at/all", folder / "link");
  EXPECT_NE(ModelFolderProblem(folder / "link").find("a link to /nowhere/at/all, which is not there"),
            std::string::npos);
  fs::create_directory(folder / "empty");
  EXPECT_NE(ModelFolderProblem(folder / "empty").find("an empty folder"), std::string::npos);
  fs::create_directory(folder / "single");
  WriteText(folder / "single/z_image_turbo_bf16.safetensors", "weights");
  for (const std::string& given :
       std::vector<std::string>{folder / "single", folder / "single/z_image_turbo_bf16.safetensors"}) {
    EXPECT_NE(ModelFolderProblem(given).find("single files, as ComfyUI uses, are given as --transformer-path"),
              std::string::npos)
        << ModelFolderProblem(given);
  }
  EXPECT_EQ(PartProblem(folder / "single/z_image_turbo_bf16.safetensors"), "") << "it may speak for itself";
  WriteText(folder / "z.gguf", "GGUF....");
  EXPECT_NE(ModelFolderProblem(folder / "z.gguf").find("this is a GGUF file"), std::string::npos);
  EXPECT_EQ(PartProblem(folder / "z.gguf"), "") << "it may speak for itself";
  EXPECT_EQ(PartProblem(folder / ""), (folder / "") + ": no config.json here; a GGUF file is given by itself, such as " +
                                          (folder / "z.gguf"));
  fs::create_directories(folder / "ComfyUI/diffusion_models");
  fs::create_directories(folder / "ComfyUI/vae");
  EXPECT_NE(ModelFolderProblem(folder / "ComfyUI").find("a folder of models for ComfyUI"), std::string::npos);
}

TEST(FamilyNote, NamesAnotherFamily) {
  const TemporaryFolder folder;
  MakeCheckpoint(folder / "model");
  const std::string part = folder / "model/transformer";
  EXPECT_EQ(FamilyNote(part), "");
  WriteText(folder / "model/model_index.json", R"({"_class_name": "ZImagePipeline"})");
  EXPECT_EQ(FamilyNote(part), "");
  WriteText(folder / "model/model_index.json", R"({"_class_name": "StableDiffusionXLPipeline"})");
  for (const std::string& given : std::vector<std::string>{part, part + "/", part + "/model.safetensors"}) {
    EXPECT_EQ(FamilyNote(given), "; " + (folder / "model/model_index.json") +
                                     " says \"StableDiffusionXLPipeline\": another family of models; this program "
                                     "paints with Z-Image (ZImagePipeline)");
  }
}

TEST(NumbersOfPythonAsNull, ReplacesWordsOutsideOfStrings) {
  EXPECT_EQ(NumbersOfPythonAsNull(R"({"NaN": [NaN, -Infinity,Infinity], "a\"NaN": "Infinity"})"),
            R"({"NaN": [null, null,null], "a\"NaN": "Infinity"})");
  EXPECT_EQ(NumbersOfPythonAsNull(R"("\)"), R"("\)");
}

}  // namespace
}  // namespace diptych
