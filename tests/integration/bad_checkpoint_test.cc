// Damaged copies of a checkpoint: the daemon refuses to start with one line that names what is wrong.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/weights/safetensors.h"
#include "common/weights/safetensors_writer.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

namespace fs = std::filesystem;

constexpr char kTextWeights[] = "text_encoder/model.safetensors";
constexpr char kDitWeights[] = "transformer/diffusion_pytorch_model.safetensors";
constexpr char kVaeWeights[] = "vae/diffusion_pytorch_model.safetensors";

// A copy of toy_a whose parts can be spoilt; Mend puts one file back.
class Copy {
 public:
  Copy() { fs::copy(ToyPath("toy_a"), path(), fs::copy_options::recursive); }
  std::string path() const { return scratch_ / "model"; }
  std::string File(const std::string& name) const { return path() + "/" + name; }
  std::string Scrap(const std::string& name) const { return scratch_ / name; }
  void Mend(const std::string& name) const {
    fs::copy_file(ToyPath("toy_a") + "/" + name, File(name), fs::copy_options::overwrite_existing);
  }

 private:
  Scratch scratch_;
};

// Writes the file anew, each tensor as `change` leaves it; false: without it.
void Rewrite(const Copy& copy, const std::string& name, const std::function<bool(TensorToWrite&)>& change) {
  const auto original = SafetensorsFile::Open(ToyPath("toy_a") + "/" + name);
  std::vector<TensorToWrite> tensors;
  for (const auto& [tensor, entry] : original->tensors()) {
    TensorToWrite next{{tensor, entry.dtype, entry.shape}, {entry.data, entry.byte_count}};
    if (change(next)) tensors.push_back(next);
  }
  WriteSafetensors(copy.File(name), tensors, original->metadata());
}

void DropTensor(const Copy& copy, const std::string& name, const std::string& tensor) {
  Rewrite(copy, name, [&](TensorToWrite& next) { return next.spec.name != tensor; });
}

// Takes the last row away.
void ShortenTensor(const Copy& copy, const std::string& name, const std::string& tensor) {
  Rewrite(copy, name, [&](TensorToWrite& next) {
    if (next.spec.name == tensor) {
      --next.spec.shape[0];
      next.bytes = next.bytes.first(ByteCount(next.spec));
    }
    return true;
  });
}

void Truncate(const Copy& copy, const std::string& name) {
  fs::resize_file(copy.File(name), fs::file_size(copy.File(name)) - 5);
}

void DropKey(const Copy& copy, const std::string& name, const char* key) {
  nlohmann::json config = nlohmann::json::parse(ReadFile(copy.File(name)));
  ASSERT_EQ(config.erase(key), 1u);
  WriteFile(copy.File(name), config.dump());
}

struct Damage {
  std::string file;
  std::function<void(const Copy&, const std::string&)> spoil;
  std::vector<std::string> pieces;  // of the line
};

Damage Dropped(const std::string& file, const std::string& tensor) {
  return {file,
          [=](const Copy& copy, const std::string& name) { DropTensor(copy, name, tensor); },
          {tensor, fs::path(file).parent_path()}};
}

Damage Shortened(const std::string& file, const std::string& tensor, const std::string& found,
                 const std::string& expected) {
  return {file,
          [=](const Copy& copy, const std::string& name) { ShortenTensor(copy, name, tensor); },
          {tensor, found, expected}};
}

Damage Broken(const std::string& file) {
  return {file,
          [](const Copy& copy, const std::string& name) { WriteFile(copy.File(name), "{\"hidden_size\": 32,"); },
          {file}};
}

Damage WithNumber(const std::string& file, const char* key, int64_t value, const std::string& piece) {
  return {file,
          [=](const Copy& copy, const std::string& name) {
            nlohmann::json config = nlohmann::json::parse(ReadFile(copy.File(name)));
            config[key] = value;
            WriteFile(copy.File(name), config.dump());
          },
          {piece}};
}

Damage WithoutKey(const std::string& file, const char* key, const std::string& piece) {
  return {file, [=](const Copy& copy, const std::string& name) { DropKey(copy, name, key); }, {piece}};
}

void ExpectAllRefused(const std::string& program, const std::vector<std::string>& flags,
                      const std::vector<Damage>& damages) {
  const Copy copy;
  for (const Damage& damage : damages) {
    damage.spoil(copy, damage.file);
    std::vector<std::string> arguments = {"--model-path", copy.path(),   "--listen",
                                          "127.0.0.1:0",  "--log-level", "error"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Outcome outcome = RunDaemon(program, arguments);
    SCOPED_TRACE(outcome.err);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
    EXPECT_EQ(outcome.err.rfind(program + ": ", 0), 0u);
    for (const std::string& piece : damage.pieces) EXPECT_NE(outcome.err.find(piece), std::string::npos) << piece;
    copy.Mend(damage.file);
  }
}

TEST(BadCheckpoint, IsRefusedByTheEncoder) {
  ExpectAllRefused(
      "diptych-encoderd", {},
      {Dropped(kTextWeights, "model.layers.1.self_attn.q_proj.weight"),
       Shortened(kTextWeights, "model.layers.0.mlp.gate_proj.weight", "[95, 32]", "[96, 32]"),
       {kTextWeights, Truncate, {kTextWeights}},
       {kTextWeights, [](const Copy& copy, const std::string& name) { fs::remove(copy.File(name)); }, {"text_encoder"}},
       Broken("text_encoder/config.json"),
       WithoutKey("text_encoder/config.json", "hidden_size", "4096"),  // of the class
       WithNumber("text_encoder/config.json", "num_hidden_layers", 1'000'000'000, "layer_types"),
       Broken("tokenizer/tokenizer.json"),
       {"tokenizer/tokenizer.json",
        [](const Copy& copy, const std::string& name) { fs::remove(copy.File(name)); },
        {"tokenizer.json"}}});
}

TEST(BadCheckpoint, IsRefusedByTheRenderer) {
  const Scratch scratch;
  ExpectAllRefused("diptych-renderd", {"--state-dir", scratch / "state"},
                   {Dropped(kDitWeights, "layers.1.attention.to_k.weight"),
                    Shortened(kDitWeights, "layers.0.feed_forward.w1.weight", "[84, 32]", "[85, 32]"),
                    {kDitWeights, Truncate, {kDitWeights}},
                    Broken("transformer/config.json"),
                    WithoutKey("transformer/config.json", "cap_feat_dim", "2560"),  // of the class
                    WithNumber("transformer/config.json", "n_layers", 1'000'000'000, "layers.2."),
                    Dropped(kVaeWeights, "decoder.conv_in.weight"),
                    Shortened(kVaeWeights, "decoder.conv_out.bias", "[2]", "[3]"),
                    {kVaeWeights, Truncate, {kVaeWeights}},
                    WithoutKey("vae/config.json", "use_post_quant_conv", "vae/config.json: \"use_post_quant_conv\""),
                    WithNumber("scheduler/scheduler_config.json", "num_train_timesteps", 500, "num_train_timesteps"),
                    Broken("scheduler/scheduler_config.json")});
}

TEST(BadCheckpoint, IsSeenByTheDoctor) {
  const std::vector<Damage> damages = {
      Dropped(kTextWeights, "model.layers.1.self_attn.q_proj.weight"),
      WithNumber("text_encoder/config.json", "num_hidden_layers", 4, "model.layers.3."),
      Dropped(kDitWeights, "layers.1.attention.to_k.weight"),
      WithNumber("transformer/config.json", "n_layers", 3, "layers.2."),
      WithNumber("transformer/config.json", "n_refiner_layers", 5, "_refiner."),
      {"text_encoder/config.json",
       [](const Copy& copy, const std::string& name) { WriteFile(copy.File(name), "{"); },
       {"config.json", "it ends too early"}},
      WithNumber("scheduler/scheduler_config.json", "num_train_timesteps", 500, "num_train_timesteps"),
      Broken("scheduler/scheduler_config.json")};
  const Copy copy;
  ASSERT_EQ(Diptych({"doctor", "--model-path", copy.path()}).status, 0);
  for (const Damage& damage : damages) {
    damage.spoil(copy, damage.file);
    const Outcome outcome = Diptych({"doctor", "--model-path", copy.path()});
    SCOPED_TRACE(outcome.out);
    EXPECT_EQ(outcome.status, 1);
    for (const std::string& piece : damage.pieces) EXPECT_NE(outcome.out.find(piece), std::string::npos) << piece;
    copy.Mend(damage.file);
  }
}

// Whoever asks before they start a daemon sees what its log would say.
TEST(BadCheckpoint, WhatIsOnlyOddIsSaidByDoctorAndTokens) {
  const Copy copy;
  const auto put = [&](const std::string& name, const char* key, const nlohmann::json& value) {
    nlohmann::json config = nlohmann::json::parse(ReadFile(copy.File(name)));
    config[key] = value;
    WriteFile(copy.File(name), config.dump());
  };
  put("scheduler/scheduler_config.json", "timestep_spacing", "leading");
  put("tokenizer/tokenizer_config.json", "add_eos_token", true);
  put("tokenizer/tokenizer_config.json", "tokenizer_class", "LlamaTokenizerFast");
  const Outcome doctor = Diptych({"doctor", "--model-path", copy.path()});
  EXPECT_EQ(doctor.status, 0) << doctor.out;
  for (const char* piece : {"without effect: \"timestep_spacing\"", "add_eos_token is true and without effect",
                            "tokenizer_class is \"LlamaTokenizerFast\""}) {
    EXPECT_NE(doctor.out.find(piece), std::string::npos) << piece << " is not in " << doctor.out;
  }
  const Outcome tokens = Diptych({"tokens", "--model-path", copy.path(), "a"});
  EXPECT_EQ(tokens.status, 0);
  EXPECT_EQ(nlohmann::json::parse(tokens.out)["ids"].empty(), false);
  EXPECT_NE(tokens.err.find("diptych: warning: "), std::string::npos) << tokens.err;
  EXPECT_NE(tokens.err.find("add_eos_token is true and without effect"), std::string::npos) << tokens.err;
}

// What people have on disk when something is not quite right; daemon, doctor and tokens say the same.
TEST(BadCheckpoint, WhatLiesThereInsteadIsNamedByEveryProgram) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '0') + "\n";
  const auto replaced = [](const std::string& bytes) {
    return [=](const Copy& copy, const std::string& name) { WriteFile(copy.File(name), bytes); };
  };
  const auto dangling = [](const Copy& copy, const std::string& name) {
    fs::remove(copy.File(name));
    fs::create_symlink("../../../blobs/0000", copy.File(name));
  };
  const std::vector<Damage> damages = {
      {"text_encoder/config.json", replaced(pointer), {"text_encoder/config.json: this is a git-lfs pointer"}},
      {kTextWeights, replaced(pointer), {std::string(kTextWeights) + ": this is a git-lfs pointer"}},
      {kTextWeights, replaced("<!DOCTYPE html>\n<html>"), {std::string(kTextWeights) + ": this is a page (HTML)"}},
      {kTextWeights, Truncate, {"file is truncated: expected ", "; its download or copy was cut short"}},
      {"tokenizer/tokenizer.json", replaced(pointer), {"tokenizer/tokenizer.json: this is a git-lfs pointer"}},
      {"tokenizer/tokenizer.json", dangling, {"tokenizer.json: a link to ../../../blobs/0000, which is not there"}}};
  for (const Damage& damage : damages) {
    const Copy copy;
    damage.spoil(copy, damage.file);
    const bool of_tokenizer = damage.file.find("tokenizer.json") != std::string::npos;
    const Outcome daemon = RunDaemon("diptych-encoderd", {"--model-path", copy.path(), "--listen", "127.0.0.1:0"});
    const Outcome doctor = Diptych({"doctor", "--model-path", copy.path()});
    for (const std::string& piece : damage.pieces) {
      EXPECT_NE(daemon.err.find(piece), std::string::npos) << daemon.err;
      EXPECT_NE(doctor.out.find(piece), std::string::npos) << doctor.out;
      if (!of_tokenizer) continue;
      const Outcome tokens = Diptych({"tokens", "--model-path", copy.path(), "hello"});
      EXPECT_NE(tokens.err.find(piece), std::string::npos) << tokens.err;
    }
  }
}

TEST(BadCheckpoint, AFolderOfTheHuggingFaceCacheLeadsToItsSnapshot) {
  const Scratch scratch;
  const std::string cache = scratch / "models--Tongyi-MAI--Z-Image-Turbo";
  const std::string snapshot = cache + "/snapshots/0123456789abcdef";
  fs::create_directories(snapshot);
  fs::copy(ToyPath("toy_a"), snapshot, fs::copy_options::recursive);
  const std::string piece = "give its snapshot: " + snapshot;
  for (const std::string program : {"diptych-encoderd", "diptych-renderd"}) {
    std::vector<std::string> arguments = {"--model-path", cache, "--listen", "127.0.0.1:0"};
    if (program == "diptych-renderd") arguments.insert(arguments.end(), {"--state-dir", scratch / "state"});
    const Outcome outcome = RunDaemon(program, arguments);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_NE(outcome.err.find(piece), std::string::npos) << outcome.err;
  }
  const Outcome doctor = Diptych({"doctor", "--model-path", cache});
  EXPECT_EQ(doctor.status, 1);
  EXPECT_NE(doctor.out.find(piece), std::string::npos) << doctor.out;
  EXPECT_EQ(doctor.out.find("download"), std::string::npos) << doctor.out;
}

// A private run's daemons log into a file that nobody reads.
TEST(BadCheckpoint, APrivateRunSaysWhatItsModelFilesHaveWithoutEffect) {
  const Copy copy;
  nlohmann::json scheduler = nlohmann::json::parse(ReadFile(copy.File("scheduler/scheduler_config.json")));
  scheduler["flow_shift"] = 5;
  WriteFile(copy.File("scheduler/scheduler_config.json"), scheduler.dump());
  const Outcome outcome = Diptych({"generate", "a cat", "--model-path", copy.path(), "--width", "64", "--height", "64",
                                   "--steps", "1", "--output", copy.Scrap("cat.png")});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("diptych: warning: " + copy.File("scheduler/scheduler_config.json") +
                             ": not known here and without effect: \"flow_shift\"\n"),
            std::string::npos)
      << outcome.err;
}

TEST(BadCheckpoint, AFolderThatIsNotThereIsRefusedByBoth) {
  const Scratch scratch;
  for (const char* program : {"diptych-encoderd", "diptych-renderd"}) {
    std::vector<std::string> arguments = {"--model-path", scratch / "nowhere", "--listen",
                                          "127.0.0.1:0",  "--log-level",       "error"};
    if (std::string(program) == "diptych-renderd")
      arguments.insert(arguments.end(), {"--state-dir", scratch / "state"});
    const Outcome outcome = RunDaemon(program, arguments);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_NE(outcome.err.find(scratch / "nowhere"), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

}  // namespace
}  // namespace diptych::integration
