// What ComfyUI's users have paints the picture that the folder paints, to the byte: pixels and receipt.
#include "tests/support/comfyui_files.h"

#include <filesystem>
#include <string>
#include <vector>

#include "common/weights/checkpoint.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

namespace fs = std::filesystem;

using testing::ComfyUiFile;

// The parts of a folder as single files, each in a folder of its own, as ComfyUI keeps them.
class ComfyUiFolder {
 public:
  explicit ComfyUiFolder(const std::string& model) {
    const auto open = [&](const std::string& part) { return Checkpoint::Open(model + "/" + part); };
    for (const char* folder : {"diffusion_models", "vae", "text_encoders"}) fs::create_directories(scratch_ / folder);
    const auto transformer = open("transformer"), vae = open("vae"), text = open("text_encoder");
    ComfyUiFile dit_file, vae_file, text_file;
    dit_file.AddTransformer(*transformer, "model.diffusion_model.");
    dit_file.Write(Transformer());
    vae_file.AddVae(*vae, "");
    vae_file.Write(Vae());
    text_file.AddTextEncoder(*text, "");
    text_file.Write(TextEncoder());
  }
  std::string Transformer() const { return scratch_ / "diffusion_models/z_image_turbo_bf16.safetensors"; }
  std::string Vae() const { return scratch_ / "vae/ae.safetensors"; }
  std::string TextEncoder() const { return scratch_ / "text_encoders/qwen_3_4b.safetensors"; }
  Arguments Flags() const {
    return {"--transformer-path", Transformer(), "--vae-path", Vae(), "--text-encoder-path", TextEncoder()};
  }

  void PutConfigs(const std::string& model) const {
    for (const auto& [part, file] : {std::pair<const char*, std::string>{"transformer", Transformer()},
                                     {"vae", Vae()},
                                     {"text_encoder", TextEncoder()}}) {
      fs::copy_file(model + "/" + part + "/config.json", fs::path(file).parent_path() / "config.json");
    }
  }
  std::string operator/(const std::string& name) const { return scratch_ / name; }

 private:
  Scratch scratch_;
};

std::string Paint(const Arguments& model, const std::string& file) {
  Arguments arguments = {"generate", "a cat", "--width",       "64",      "--height", "64", "--steps", "2",
                         "--seed",   "7",     "--torch-dtype", "float32", "--output", file};
  arguments.insert(arguments.end(), model.begin(), model.end());
  const Outcome outcome = Diptych(arguments);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return ReadFile(file);
}

TEST(ComfyUiFiles, PaintThePictureOfTheFolder) {
  for (const std::string toy : {"toy_a", "toy_b"}) {
    SCOPED_TRACE(toy);
    const ComfyUiFolder files(ToyPath(toy));
    files.PutConfigs(ToyPath(toy));
    Arguments single = {"--model-path", ToyPath(toy)};
    const std::string wanted = Paint(single, files / "folder.png");
    const Arguments flags = files.Flags();
    single.insert(single.end(), flags.begin(), flags.end());
    EXPECT_TRUE(Paint(single, files / "single.png") == wanted);
  }
}

}  // namespace
}  // namespace diptych::integration
