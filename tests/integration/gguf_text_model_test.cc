// A GGUF file of the text model, alone: no config.json, no tokenizer, and the words come out as from the folder.
#include "tests/support/gguf_text_model.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "common/weights/safetensors.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

namespace fs = std::filesystem;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::string kPrompt = "a cat, \"asleep\" \xE7\x8C\xAB";

// What is left of a checkpoint when the text model is a GGUF file: no text_encoder and no tokenizer.
class GgufModel {
 public:
  explicit GgufModel(const std::string& model) {
    fs::create_directories(Rest());
    for (const char* part : {"transformer", "vae", "scheduler"}) {
      fs::copy(model + "/" + part, Rest() + "/" + part, fs::copy_options::recursive);
    }
    fs::copy_file(model + "/model_index.json", Rest() + "/model_index.json");
    testing::WriteTextGguf(File(), model);
  }
  std::string Rest() const { return scratch_ / "rest"; }
  std::string File() const { return scratch_ / "qwen_3_4b.gguf"; }
  Arguments Flags() const { return {"--model-path", Rest(), "--text-encoder-path", File()}; }
  std::string operator/(const std::string& name) const { return scratch_ / name; }

 private:
  Scratch scratch_;
};

std::string Paint(const Arguments& model, const std::string& file) {
  const Outcome outcome = Diptych(Arguments{"generate", kPrompt, "--width", "64", "--height", "64", "--steps", "2",
                                            "--seed", "7", "--torch-dtype", "float32", "--output", file} +
                                  model);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return ReadFile(file);
}

// The rows that are saved.
std::string Rows(const Arguments& model, const std::string& file) {
  const Outcome outcome = Diptych(Arguments{"generate", kPrompt, "--save-embeddings", file} + model);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const auto saved = SafetensorsFile::Open(file);
  const TensorEntry* const rows = saved->Find("embeddings");
  return rows == nullptr ? "" : std::string(reinterpret_cast<const char*>(rows->data), rows->byte_count);
}

TEST(GgufTextModel, PaintsThePictureOfTheFolder) {
  const GgufModel gguf(ToyPath("toy_a"));  // whose weights are float32, so that norms are, too
  const std::string wanted = Paint({"--model-path", ToyPath("toy_a")}, gguf / "folder.png");
  EXPECT_TRUE(Paint(gguf.Flags(), gguf / "gguf.png") == wanted) << "pixels and receipt";
}

TEST(GgufTextModel, MakesTheRowsAndTheTokensOfTheFolder) {
  for (const std::string& model : {DemoModelPath(), ToyPath("toy_b")}) {
    SCOPED_TRACE(model);
    const GgufModel gguf(model);
    const Arguments folder = {"--model-path", model}, file = {"--text-encoder-path", gguf.File()};
    const std::string rows = Rows(folder, gguf / "folder.safetensors");
    EXPECT_GT(rows.size(), 1000u);
    EXPECT_TRUE(Rows(gguf.Flags(), gguf / "gguf.safetensors") == rows);

    const Outcome wanted = Diptych(Arguments{"tokens", kPrompt} + folder);
    const Outcome alone = Diptych(Arguments{"tokens", kPrompt} + file);
    EXPECT_EQ(alone.status, 0) << alone.err;
    EXPECT_EQ(alone.out, wanted.out);
    EXPECT_EQ(Diptych(Arguments{"tokens", kPrompt} + gguf.Flags()).out, wanted.out);
  }
}

TEST(GgufTextModel, IsAllThatAnEncoderNeeds) {
  const GgufModel gguf(ToyPath("toy_a"));
  const Daemon encoder("diptych-encoderd", {"--text-encoder-path", gguf.File(), "--log-level", "info"});
  for (const std::string& line :
       {"tokenizer from " + gguf.File(), "configuration of " + gguf.File() + " taken from its metadata",
        gguf.File() + " has llama.cpp's names"}) {
    EXPECT_NE(encoder.Log().find(line), std::string::npos) << line << "\n" << encoder.Log();
  }
  const Outcome doctor = Diptych(Arguments{"doctor"} + gguf.Flags());
  EXPECT_EQ(doctor.status, 0) << doctor.out;
  EXPECT_NE(doctor.out.find(gguf.File() + ": 1000 tokens"), std::string::npos) << doctor.out;
  EXPECT_NE(doctor.out.find("llama.cpp's names; configuration taken from its metadata"), std::string::npos)
      << doctor.out;
}

TEST(GgufTextModel, IsRefusedInOneLineWhereItDoesNotBelong) {
  const GgufModel gguf(ToyPath("toy_a"));
  const auto refusal_of = [&](const std::string& program, const Arguments& flags) {
    const Outcome outcome = RunDaemon(program, Arguments{"--listen", "127.0.0.1:0", "--log-level", "error"} + flags);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    return outcome.err;
  };
  const std::string swapped = refusal_of("diptych-renderd", {"--state-dir", gguf / "state", "--model-path", gguf.Rest(),
                                                             "--transformer-path", gguf.File()});
  EXPECT_NE(swapped.find(gguf.File() + ": this is a text model: give it as --text-encoder-path"), std::string::npos)
      << swapped;

  testing::GgufWriter llama;
  llama.Text("general.architecture", "llama");
  testing::AddTokenizer(llama, ToyPath("toy_a") + "/tokenizer", 1008);
  llama.Write(gguf / "llama.gguf");
  const std::string other = refusal_of("diptych-encoderd", {"--text-encoder-path", gguf / "llama.gguf"});
  EXPECT_NE(other.find("llama.gguf: this is Llama, Mistral or a kin of theirs; give the text encoder of Z-Image"),
            std::string::npos)
      << other;
}

}  // namespace
}  // namespace diptych::integration
