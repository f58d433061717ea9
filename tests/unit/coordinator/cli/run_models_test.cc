// diptych models, through the whole command line.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/digest/sha256.h"
#include "common/weights/fingerprint_cache.h"
#include "common/weights/safetensors_writer.h"
#include "tests/support/comfyui_files.h"
#include "tests/support/gguf_text_model.h"
#include "tests/unit/coordinator/cli/run_fixture.h"

namespace diptych {
namespace {

using nlohmann::json;

bool Never(const FileFacts&) { return false; }

class RunModelsTest : public RunTest {
 protected:
  RunModelsTest() {
    const auto fill = [](const TensorSpec& spec, std::span<uint8_t> bytes) {
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(spec.name[0]);
    };
    for (const char* part : {"text_encoder", "vae"}) {
      std::filesystem::create_directories(folder_ / (std::string("model/") + part));
      WriteCheckpoint(folder_ / (std::string("model/") + part), "model", {{"a", Dtype::F32, {4}}}, fill, 1 << 20, {});
    }
  }

  int Verify(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"models", "verify", folder_ / "model", "--fingerprint-cache",
                                          folder_ / "cache"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }
  void Remember(const std::string& file, const std::string& content) const {
    const MappedFile mapped(file);
    const auto size = static_cast<uint64_t>(mapped.facts().size);
    EXPECT_EQ(FingerprintCache(folder_ / "cache", Never).Keep(mapped, {{{size - 16, 16}, Sha256Hex(content)}}), "");
  }

  const std::string encoder_ = folder_ / "model/text_encoder/model.safetensors";
  const std::string vae_ = folder_ / "model/vae/model.safetensors";
};

TEST_F(RunModelsTest, VerifySaysOfEachFileWhetherItIsAsRemembered) {
  Remember(encoder_, std::string(16, 'a'));
  EXPECT_EQ(Verify(), kExitDone) << err_.str();
  EXPECT_NE(out_.str().find(encoder_ + ": OK, 1 tensor (0.0 MB) as remembered"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find(vae_ + ": 1 tensor (0.0 MB) read; nothing was remembered of it"), std::string::npos)
      << out_.str();
  EXPECT_NE(out_.str().find("compared with " + (folder_ / "cache")), std::string::npos) << out_.str();
}

TEST_F(RunModelsTest, VerifyNamesTheTensorThatIsDifferentAndFails) {
  Remember(encoder_, std::string(16, 'a'));
  Remember(vae_, "others");
  EXPECT_EQ(Verify(), kExitFailed);
  EXPECT_NE(out_.str().find(vae_ + ": DIFFERENT, not as remembered: a; yet nothing else about the file has changed"),
            std::string::npos)
      << out_.str();
  ExpectOneLineWith("1 of 2 files not as remembered");

  Remember(vae_, "others");
  EXPECT_EQ(Verify({"--json"}), kExitFailed);
  const std::vector<json> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["different"], json::array());
  EXPECT_EQ(lines[1]["path"], vae_);
  EXPECT_EQ(lines[1]["different"], json({"a"}));
  EXPECT_EQ(lines[1]["since"], nullptr);
  EXPECT_EQ(lines[1]["tensors"], 1);
  EXPECT_EQ(lines[1]["bytes"], 16);
  EXPECT_EQ(lines[1]["was_remembered"], true);
  EXPECT_EQ(json::parse(err_.str())["error"]["code"], "DATA_LOSS");
}

TEST_F(RunModelsTest, VerifyGoesOnBehindAFileThatIsDamaged) {
  std::filesystem::resize_file(encoder_, 5);
  EXPECT_EQ(Verify({"--json"}), kExitFailed);
  ASSERT_EQ(Lines().size(), 2u);
  EXPECT_EQ(Lines()[0]["path"], encoder_);
  EXPECT_EQ(Lines()[0]["error"]["code"], "DATA_LOSS");
  EXPECT_EQ(Lines()[1]["error"], nullptr);
  EXPECT_NE(err_.str().find("1 of 2 files cannot be verified"), std::string::npos) << err_.str();
}

TEST_F(RunModelsTest, WithoutACacheItSaysSo) {
  EXPECT_EQ(Run({"models", "verify", encoder_, "--fingerprint-cache", "none"}), kExitDone);
  EXPECT_NE(out_.str().find("nothing is remembered"), std::string::npos) << out_.str();
}

const std::string kToy = DIPTYCH_SOURCE_DIR "/tests/parity/data/toy_a";

// What ComfyUI's models folder may hold: a transformer, a VAE, a text model in GGUF, a LoRA, a checkpoint, another
// model and two files that cannot be read.
class RunModelsOnAFolderTest : public RunTest {
 protected:
  RunModelsOnAFolderTest() {
    namespace fs = std::filesystem;
    for (const char* name : {"diffusion_models", "vae", "text_encoders", "loras", "checkpoints", "diffusers"}) {
      fs::create_directories(models_ + "/" + name);
    }
    const auto transformer = Checkpoint::Open(kToy + "/transformer", ModelPart::kTransformer);
    testing::ComfyUiFile painter;
    painter.AddTransformer(*transformer, "model.diffusion_model.");
    painter.AddOther("vae.x");
    painter.Write(transformer_);
    const auto vae = Checkpoint::Open(kToy + "/vae", ModelPart::kVae);
    testing::ComfyUiFile decoder;
    decoder.AddVae(*vae, "");
    decoder.Write(models_ + "/vae/ae.safetensors");
    testing::WriteTextGguf(text_, kToy);
    testing::ComfyUiFile other;
    other.AddOther("double_blocks.0.x");
    other.AddOther("single_blocks.0.x");
    other.Write(models_ + "/checkpoints/flux.safetensors");
    fs::copy(DIPTYCH_SOURCE_DIR "/tests/unit/common/lora/data/kohya.safetensors", models_ + "/loras");
    fs::copy(kToy, models_ + "/diffusers/toy", fs::copy_options::recursive);
    std::ofstream(page_) << "<!doctype html>";
  }

  const std::string models_ = folder_ / "models";
  const std::string transformer_ = models_ + "/diffusion_models/z_image_turbo.safetensors";
  const std::string text_ = models_ + "/text_encoders/qwen_3.gguf";
  const std::string page_ = models_ + "/vae/page.safetensors";
};

TEST_F(RunModelsOnAFolderTest, InspectSaysWhatAFileIsAndWhatTakesIt) {
  EXPECT_EQ(Run({"models", "inspect", transformer_}), kExitDone) << err_.str();
  const std::string out = out_.str();
  for (const std::string& line : {transformer_ + "\n", std::string("  what           transformer\n"),
                                  std::string("  files          safetensors, "),
                                  std::string("  names          original names (attention.qkv), prefix model.diffusion_"),
                                  std::string("  parameters     "), std::string(" in 73 tensors\n"),
                                  std::string("  formats        F32: 73 tensors of "), std::string("  needs          in bfloat16 "),
                                  std::string(" of memory; in float32 "), std::string(" in the mapped file\n"),
                                  std::string("  configuration  its shapes\n"),
                                  std::string("  foreign        1 tensor: vae.x, not loaded\n"),
                                  "  use it with    --transformer-path " + transformer_ + "\n"}) {
    EXPECT_NE(out.find(line), std::string::npos) << line << "is not in\n" << out;
  }
  EXPECT_EQ(Run({"models", "inspect", text_, models_ + "/diffusers/toy"}), kExitDone) << err_.str();
  EXPECT_NE(out_.str().find("  tokenizer      in its metadata\n"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("  what           checkpoint: transformer, VAE and text encoder\n"), std::string::npos)
      << out_.str();
  EXPECT_NE(out_.str().find("  use it with    --model-path " + models_ + "/diffusers/toy\n"), std::string::npos)
      << out_.str();
}

TEST_F(RunModelsOnAFolderTest, InspectSaysItInJson) {
  EXPECT_EQ(Run({"models", "inspect", transformer_, text_, models_ + "/loras/kohya.safetensors", "--json"}), kExitDone)
      << err_.str();
  const std::vector<json> lines = Lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["path"], transformer_);
  EXPECT_EQ(lines[0]["kind"], "part");
  EXPECT_EQ(lines[0]["container"], "safetensors");
  EXPECT_EQ(lines[0]["file_bytes"], std::filesystem::file_size(transformer_));
  EXPECT_EQ(lines[0]["foreign"], json({"vae.x"}));
  EXPECT_EQ(lines[0]["options"], json({"--transformer-path"}));
  EXPECT_EQ(lines[0]["error"], nullptr);
  ASSERT_EQ(lines[0]["parts"].size(), 1u);
  const json& part = lines[0]["parts"][0];
  EXPECT_EQ(part["part"], "transformer");
  EXPECT_EQ(part["formats"]["F32"]["tensors"], 73);
  EXPECT_EQ(part["needs"]["float32"]["copied"], 0);
  EXPECT_EQ(part["needs"]["float32"]["mapped"], part["bytes"]);
  EXPECT_EQ(part["parameters"].get<uint64_t>() * 4, part["bytes"].get<uint64_t>());
  EXPECT_EQ(part["missing"], json::array());
  EXPECT_EQ(part["problem"], nullptr);
  EXPECT_EQ(part["has_tokenizer"], nullptr);
  EXPECT_EQ(lines[1]["container"], "GGUF");
  EXPECT_EQ(lines[1]["parts"][0]["part"], "text_encoder");
  EXPECT_EQ(lines[1]["parts"][0]["has_tokenizer"], true);
  EXPECT_EQ(lines[2]["kind"], "lora");
  EXPECT_GT(lines[2]["lora"]["modules"].get<int>(), 0);
  EXPECT_EQ(lines[2]["options"], json::array());
}

TEST_F(RunModelsOnAFolderTest, InspectGoesOnBehindAFileThatCannotBeRead) {
  EXPECT_EQ(Run({"models", "inspect", page_}), kExitFailed);
  ExpectOneLineWith("this is a page (HTML)");
  EXPECT_EQ(Run({"models", "inspect", page_, text_, "--json"}), kExitFailed);
  ASSERT_EQ(Lines().size(), 2u);
  EXPECT_EQ(Lines()[0]["path"], page_);
  EXPECT_NE(Lines()[0]["error"]["message"].get<std::string>().find("HTML"), std::string::npos);
  EXPECT_EQ(Lines()[1]["kind"], "part");
  EXPECT_NE(err_.str().find("1 of 2 cannot be read"), std::string::npos) << err_.str();
}

TEST_F(RunModelsOnAFolderTest, ListHasALineForEachFileAndCheckpoint) {
  std::filesystem::remove(page_);
  std::ofstream(models_ + "/vae/a_name_that_is_longer_than_the_column_for_names.safetensors") << "";
  EXPECT_EQ(Run({"models", "list", models_}), kExitFailed);
  const std::string out = out_.str();
  std::istringstream text(out);
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    lines.push_back(line);
  }
  const auto has = [&](const std::string& begin, const std::string& end) {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const std::string& line) { return line.starts_with(begin) && line.ends_with(end); });
  };
  EXPECT_TRUE(has("NAME ", " OPTION")) << out;
  EXPECT_TRUE(has("diffusion_models/", "diffusion_models/")) << out;
  EXPECT_TRUE(has("  z_image_turbo.safetensors ", " F32         transformer               --transformer-path")) << out;
  EXPECT_TRUE(has("  ae.safetensors ", " VAE                       --vae-path")) << out;
  EXPECT_TRUE(has("  qwen_3.gguf ", " text encoder              --text-encoder-path")) << out;
  EXPECT_TRUE(has("  toy/ ", " checkpoint                --model-path")) << out;
  EXPECT_TRUE(has("  flux.safetensors ", " FLUX.1, another model")) << out;
  EXPECT_NE(out.find("LoRA of Z-Image, rank "), std::string::npos) << out;
  EXPECT_TRUE(has("  a_name_that_is_longer_than_the_column_for_names.safetensors", ".safetensors")) << out;
  EXPECT_TRUE(has("   ", " cannot be read")) << out;
  EXPECT_NE(out.find("this is an empty file"), std::string::npos) << out;
  ExpectOneLineWith("1 of 7 cannot be read");
}

TEST_F(RunModelsOnAFolderTest, InspectNamesNoOptionForWhatIsNotWhole) {
  const std::string merged = folder_ / "all in one.safetensors";
  const auto vae = Checkpoint::Open(kToy + "/vae", ModelPart::kVae);
  testing::ComfyUiFile file;
  file.AddVae(*vae, "vae.");
  file.AddOther("model.diffusion_model.layers.0.attention.to_q.weight");
  file.AddOther("text_encoders.q.transformer.model.layers.0.self_attn.q_norm.weight");
  file.AddOther("text_encoders.q.transformer.model.layers.0.self_attn.q_norm.weight_scale_2");
  file.Write(merged);
  EXPECT_EQ(Run({"models", "inspect", merged}), kExitDone) << err_.str();
  const std::string out = out_.str();
  EXPECT_NE(out.find("  what           transformer, VAE and text encoder that is not taken, in one\n"), std::string::npos)
      << out;
  EXPECT_NE(out.find("  use it with    --vae-path '" + merged + "'\n"), std::string::npos) << out;
  EXPECT_NE(out.find("\n  transformer\n    names          "), std::string::npos) << out;
  EXPECT_NE(out.find("\n    missing        11 tensors: all_x_embedder.2-1.weight, where it would be"), std::string::npos)
      << out;
  EXPECT_NE(out.find("\n    problem        "), std::string::npos) << out;
  EXPECT_EQ(Run({"models", "inspect", merged, "--json"}), kExitDone) << err_.str();
  const json report = Lines().at(0);
  EXPECT_EQ(report["kind"], "parts");
  EXPECT_EQ(report["options"], json({"--vae-path"}));
  EXPECT_EQ(report["parts"][0]["option"], nullptr);
  EXPECT_EQ(report["parts"][0]["missing"].size(), 11u);
  EXPECT_EQ(report["parts"][2]["container"], nullptr);
  EXPECT_NE(report["parts"][2]["problem"].get<std::string>().find("nvfp4"), std::string::npos);
}

TEST_F(RunModelsOnAFolderTest, ShowsNoControlsOutOfNames) {
  const std::string name = folder_ / "models/a\x1b[31m.safetensors";
  std::filesystem::copy(models_ + "/vae/ae.safetensors", name);
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"models", "inspect", name}, {"models", "list", models_}, {"models", "list", models_, "--json"}}) {
    Run(arguments);
    EXPECT_EQ(out_.str().find('\x1b'), std::string::npos) << out_.str();
    EXPECT_NE(out_.str().find("[31m.safetensors"), std::string::npos) << out_.str();
  }
}

TEST_F(RunModelsOnAFolderTest, ListSaysItInJson) {
  EXPECT_EQ(Run({"models", "list", models_, "--json"}), kExitFailed);
  ASSERT_EQ(Lines().size(), 7u);
  size_t errors = 0;
  for (const json& line : Lines()) errors += line["error"].is_null() ? 0 : 1;
  EXPECT_EQ(errors, 1u);
  std::filesystem::remove(page_);
  EXPECT_EQ(Run({"models", "list", models_, "--json"}), kExitDone) << err_.str();
  ASSERT_EQ(Lines().size(), 6u);
  EXPECT_EQ(Lines()[0]["kind"], "other");
  EXPECT_EQ(Lines()[0]["what"], "FLUX.1, another model");
  EXPECT_EQ(Lines()[1]["kind"], "checkpoint");
  EXPECT_EQ(Lines()[1]["parts"].size(), 3u);
}

TEST_F(RunModelsTest, SaysWhatItCanDo) {
  ExpectUsage({"models"}, "diptych models verify PATH");
  ExpectUsage({"models"}, "diptych models inspect PATH, diptych models list DIR");
  ExpectUsage({"models", "show"}, "diptych models knows no \"show\"");
  ExpectUsage({"models", "verify"}, "PATH is missing");
  ExpectUsage({"models", "inspect"}, "PATH is missing: diptych models inspect PATH");
  ExpectUsage({"models", "list"}, "DIR is missing: diptych models list DIR");
  ExpectUsage({"models", "list", folder_ / "a", folder_ / "b"}, "one folder at a time");
  EXPECT_EQ(Run({"models", "verify", folder_ / "none"}), kExitFailed);
  ExpectOneLineWith("No such file");
}

}  // namespace
}  // namespace diptych
