// What ComfyUI's users have paints the picture that the folder paints, to the byte: pixels and receipt.
#include "tests/support/comfyui_files.h"

#include <algorithm>
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

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(ComfyUiFiles, PaintThePictureOfTheFolder) {
  for (const std::string toy : {"toy_a", "toy_b"}) {
    SCOPED_TRACE(toy);
    const ComfyUiFolder files(ToyPath(toy));
    const Arguments model = {"--model-path", ToyPath(toy)};
    const std::string wanted = Paint(model, files / "folder.png");
    EXPECT_TRUE(Paint(model + files.Flags(), files / "of_model.png") == wanted) << "the configurations of --model-path";
    files.PutConfigs(ToyPath(toy));
    EXPECT_TRUE(Paint(model + files.Flags(), files / "beside.png") == wanted);
  }
}

// Of a model with the constants of the published one no file need state any.
TEST(ComfyUiFiles, SpeakForThemselves) {
  const Scratch scratch;
  const std::string model = scratch / "model", bare = scratch / "bare";
  Process make({ProgramPath("diptych-random-checkpoint"), "--output", model, "--dim", "256", "--heads", "2", "--layers",
                "1", "--refiner-layers", "1", "--vae-channels", "32,32,64,64", "--vae-groups", "32"});
  ASSERT_EQ(make.Wait(), 0) << make.Err();
  const ComfyUiFolder files(model);
  fs::create_directories(bare);
  fs::copy(model + "/tokenizer", bare + "/tokenizer");
  fs::copy(model + "/scheduler", bare + "/scheduler");
  fs::copy_file(model + "/model_index.json", bare + "/model_index.json");
  const std::string wanted = Paint({"--model-path", model}, files / "folder.png");
  EXPECT_TRUE(Paint(Arguments{"--model-path", bare} + files.Flags(), files / "bare.png") == wanted);

  const Outcome doctor = Diptych(Arguments{"doctor", "--model-path", bare} + files.Flags());
  EXPECT_EQ(doctor.status, 0) << doctor.out;
  EXPECT_NE(doctor.out.find("original names (attention.qkv), prefix model.diffusion_model."), std::string::npos)
      << doctor.out;
  const Daemon encoder("diptych-encoderd",
                       {"--model-path", bare, "--text-encoder-path", files.TextEncoder(), "--log-level", "info"});
  EXPECT_NE(encoder.Log().find("configuration of " + files.TextEncoder() + " taken from its shapes"), std::string::npos)
      << encoder.Log();
}

TEST(ComfyUiFiles, OfAnotherKindAreRefusedInOneLine) {
  const ComfyUiFolder files(ToyPath("toy_a"));
  const auto refusal_of = [&](const Arguments& flags) {
    const Outcome outcome =
        RunDaemon("diptych-renderd",
                  Arguments{"--state-dir", files / "state", "--listen", "127.0.0.1:0", "--log-level", "error"} + flags);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    return outcome.err;
  };
  const std::string narrow = refusal_of({"--transformer-path", files.Transformer(), "--vae-path", files.Vae()});
  EXPECT_NE(narrow.find("its heads are 8 wide and Z-Image's 128, so that axes_dims is unknown; put the config.json of "
                        "this part of the model beside it"),
            std::string::npos)
      << narrow;
  const std::string swapped =
      refusal_of({"--model-path", ToyPath("toy_a"), "--transformer-path", files.Vae(), "--vae-path", files.Vae()});
  EXPECT_NE(swapped.find("this is a VAE: give it as --vae-path"), std::string::npos) << swapped;
}

}  // namespace
}  // namespace diptych::integration
