#include "coordinator/client/saved_embeddings.h"

#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/error/error.h"
#include "common/weights/safetensors_writer.h"
#include "coordinator/client/embedding_statistics.h"
#include "coordinator/files.h"
#include "coordinator/input.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using nlohmann::json;

SavedEmbeddings Sample(StateDtype dtype = StateDtype::kBFloat16) {
  SavedEmbeddings saved;
  ConditioningHeader& header = saved.conditioning.header;
  header.model_fingerprint = std::string(64, 'a');
  header.tokenizer_fingerprint = std::string(64, 'b');
  header.input_sha256 = std::string(64, 'c');
  header.token_count = 5;
  header.layer = -3;
  header.long_prompt_mode = LongPromptMode::kPool;
  header.dtype = dtype;
  header.rows = 3;
  header.width = 2;
  saved.conditioning.bytes.resize(static_cast<size_t>(header.ByteCount()));
  for (size_t i = 0; i < saved.conditioning.bytes.size(); ++i) saved.conditioning.bytes[i] = i & 0xBF;  // finite
  saved.prompt = PromptParts{.user = "a \"red\" cat",
                             .system = "paint",
                             .thinking = "hm",
                             .assistant = "well",
                             .force_think_block = true,
                             .remove_quotes = true,
                             .keep_whitespace = true,
                             .conversation_json = ""};
  saved.created_at = "2026-01-02T03:04:05+00:00";
  saved.encoder_device = "cpu";
  saved.model_path = "models/x";
  saved.program_version = "1.2.3";
  return saved;
}

class SavedEmbeddingsTest : public testing::Test {
 protected:
  json Sidecar() const { return json::parse(ReadBoundedFile(folder_ / "e.json", 1 << 20)); }
  // Saves the sample, changes its sidecar, and returns what loading says; empty when it loads.
  std::string MessageAfter(const std::function<void(json&)>& change) {
    SaveEmbeddings(folder_ / "e.safetensors", Sample());
    json sidecar = Sidecar();
    change(sidecar);
    WriteFileAtomically(folder_ / "e.json", sidecar.dump());
    return MessageOfLoading();
  }
  std::string MessageOfLoading() const {
    try {
      LoadEmbeddings(folder_ / "e.safetensors");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  void ExpectRefused(const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << "message: " << message;
  }
  TestFolder folder_;
};

TEST_F(SavedEmbeddingsTest, ComeBackWithEveryFieldInBothDtypes) {
  for (const StateDtype dtype : {StateDtype::kBFloat16, StateDtype::kFloat32}) {
    const SavedEmbeddings saved = Sample(dtype);
    SaveEmbeddings(folder_ / "e.safetensors", saved);
    const SavedEmbeddings loaded = LoadEmbeddings(folder_ / "e.safetensors");
    EXPECT_EQ(loaded.conditioning.header, saved.conditioning.header);
    EXPECT_EQ(loaded.conditioning.bytes, saved.conditioning.bytes);
    EXPECT_EQ(loaded.prompt, saved.prompt);
    EXPECT_EQ(loaded.created_at, saved.created_at);
    EXPECT_EQ(loaded.encoder_device, saved.encoder_device);
    EXPECT_EQ(loaded.model_path, saved.model_path);
    EXPECT_EQ(loaded.program_version, saved.program_version);
  }
}

TEST_F(SavedEmbeddingsTest, KeepAConversation) {
  SavedEmbeddings saved = Sample();
  saved.prompt = PromptParts{};
  saved.prompt->conversation_json = R"({"messages": []})";
  SaveEmbeddings(folder_ / "e.safetensors", saved);
  EXPECT_EQ(LoadEmbeddings(folder_ / "e.safetensors").prompt, saved.prompt);
}

SavedEmbeddings SampleWithNegative() {
  SavedEmbeddings saved = Sample();
  SavedNegative negative;
  negative.conditioning = saved.conditioning;
  negative.conditioning.header.rows = 1;
  negative.conditioning.header.input_sha256 = std::string(64, 'f');
  negative.conditioning.header.token_count = 1;
  negative.conditioning.bytes = {9, 8, 7, 6};
  negative.prompt = PromptParts{};
  negative.prompt->user = "fog";
  negative.prompt->force_think_block = true;
  saved.negative = negative;
  return saved;
}

TEST_F(SavedEmbeddingsTest, KeepTheNegativeOfGuidance) {
  const SavedEmbeddings saved = SampleWithNegative();
  SaveEmbeddings(folder_ / "e.safetensors", saved);
  const SavedEmbeddings loaded = LoadEmbeddings(folder_ / "e.safetensors");
  EXPECT_EQ(loaded.conditioning.header, saved.conditioning.header);
  ASSERT_TRUE(loaded.negative.has_value());
  EXPECT_EQ(loaded.negative->conditioning.header, saved.negative->conditioning.header);
  EXPECT_EQ(loaded.negative->conditioning.bytes, saved.negative->conditioning.bytes);
  EXPECT_EQ(loaded.negative->prompt, saved.negative->prompt);
}

TEST_F(SavedEmbeddingsTest, RefuseANegativeThatDoesNotFit) {
  SaveEmbeddings(folder_ / "e.safetensors", SampleWithNegative());
  json sidecar = Sidecar();
  sidecar["negative"]["sequence_length"] = 2;
  WriteFileAtomically(folder_ / "e.json", sidecar.dump());
  ExpectRefused(MessageOfLoading(), "\"negative.sequence_length\" contradicts the tensor, which has 1");
  sidecar["negative"] = 5;
  WriteFileAtomically(folder_ / "e.json", sidecar.dump());
  ExpectRefused(MessageOfLoading(), "\"negative\" must be an object");
  const std::vector<uint8_t> bytes(24);
  WriteSafetensors(folder_ / "e.safetensors",
                   {{{"embeddings", Dtype::F32, {3, 2}}, bytes}, {{"negative_embeddings", Dtype::F32, {2, 3}}, bytes}});
  ExpectRefused(MessageOfLoading(), "differ from embeddings in dtype or width");
}

TEST_F(SavedEmbeddingsTest, KeepAnEmptyPromptApartFromAnUnknownOne) {
  SavedEmbeddings saved = Sample();
  saved.prompt = PromptParts{};
  SaveEmbeddings(folder_ / "e.safetensors", saved);
  EXPECT_TRUE(LoadEmbeddings(folder_ / "e.safetensors").prompt.has_value());
  saved.prompt.reset();
  SaveEmbeddings(folder_ / "e.safetensors", saved);
  EXPECT_FALSE(LoadEmbeddings(folder_ / "e.safetensors").prompt.has_value());
}

TEST_F(SavedEmbeddingsTest, WriteTheKeysThatOtherProgramsRead) {
  SaveEmbeddings(folder_ / "e.safetensors", Sample());
  const json sidecar = Sidecar();
  EXPECT_EQ(sidecar["prompt"], "a \"red\" cat");
  EXPECT_TRUE(sidecar["template"].is_null());
  EXPECT_EQ(sidecar["enable_thinking"], true);
  EXPECT_EQ(sidecar["system_prompt"], "paint");
  EXPECT_EQ(sidecar["thinking_content"], "hm");
  EXPECT_EQ(sidecar["sequence_length"], 3);
  EXPECT_EQ(sidecar["embedding_dim"], 2);
  EXPECT_EQ(sidecar["dtype"], "torch.bfloat16");
  EXPECT_EQ(sidecar["created_at"], "2026-01-02T03:04:05+00:00");
  EXPECT_EQ(sidecar["encoder_device"], "cpu");
  EXPECT_EQ(sidecar["model_path"], "models/x");
}

TEST_F(SavedEmbeddingsTest, AddExtensionAndFolders) {
  const std::filesystem::path path = SaveEmbeddings(folder_ / "new/sub/cat.v2", Sample());
  EXPECT_EQ(path, folder_.path / "new/sub/cat.v2.safetensors");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "new/sub/cat.v2.json"));
  EXPECT_EQ(LoadEmbeddings(folder_ / "new/sub/cat.v2").conditioning.header.rows, 3);
}

TEST_F(SavedEmbeddingsTest, LoadWithoutSidecarAsOfUnknownOrigin) {
  SaveEmbeddings(folder_ / "e.safetensors", Sample());
  std::filesystem::remove(folder_ / "e.json");
  const SavedEmbeddings loaded = LoadEmbeddings(folder_ / "e.safetensors");
  EXPECT_FALSE(loaded.prompt.has_value());
  EXPECT_EQ(loaded.conditioning.header.model_fingerprint, "");
  EXPECT_EQ(loaded.conditioning.header.layer, -2);
  EXPECT_EQ(loaded.conditioning.header.token_count, 3);
}

TEST_F(SavedEmbeddingsTest, LoadTheSidecarOfAnotherProgram) {
  SaveEmbeddings(folder_ / "e.safetensors", Sample());
  WriteFileAtomically(folder_ / "e.json",
                      R"({"prompt": "a cat", "enable_thinking": true, "sequence_length": 3, "more": [1]})");
  const SavedEmbeddings loaded = LoadEmbeddings(folder_ / "e.safetensors");
  EXPECT_EQ(loaded.prompt->user, "a cat");
  EXPECT_TRUE(loaded.prompt->force_think_block);
  WriteFileAtomically(folder_ / "e.json", R"({"prompt": "<unknown>"})");
  EXPECT_FALSE(LoadEmbeddings(folder_ / "e.safetensors").prompt.has_value());
}

TEST_F(SavedEmbeddingsTest, RefuseASidecarThatContradictsTheTensor) {
  ExpectRefused(MessageAfter([](json& j) { j["sequence_length"] = 4; }),
                "\"sequence_length\" contradicts the tensor, which has 3");
  ExpectRefused(MessageAfter([](json& j) { j["embedding_dim"] = 7; }),
                "\"embedding_dim\" contradicts the tensor, which has 2");
  ExpectRefused(MessageAfter([](json& j) { j["dtype"] = "torch.float32"; }), "\"dtype\" contradicts the tensor");
  ExpectRefused(MessageAfter([](json& j) { j["sha256"] = std::string(64, '0'); }), "checksums differ");
}

TEST_F(SavedEmbeddingsTest, RefuseASidecarWithDamagedValues) {
  ExpectRefused(MessageAfter([](json& j) { j["prompt"] = 5; }), "\"prompt\" must be a text");
  ExpectRefused(MessageAfter([](json& j) { j["remove_quotes"] = "yes"; }), "\"remove_quotes\" must be true or false");
  ExpectRefused(MessageAfter([](json& j) { j["layer"] = 0; }), "\"layer\" must be a whole number");
  ExpectRefused(MessageAfter([](json& j) { j["layer"] = 18446744073709551615u; }), "\"layer\" must be a whole number");
  ExpectRefused(MessageAfter([](json& j) { j["version"] = 2; }), "\"version\" is newer");
  ExpectRefused(MessageAfter([](json& j) { j["model_fingerprint"] = "short"; }), "64 lower-case hexadecimal digits");
  ExpectRefused(MessageAfter([](json& j) { j["long_prompt_mode"] = "fold"; }), "attention_pool");
  ExpectRefused(MessageAfter([](json& j) { j = json::array(); }), "is not a JSON object");
}

TEST_F(SavedEmbeddingsTest, RefuseTensorsOfAnotherKind) {
  const std::vector<uint8_t> bytes(24);
  const auto write = [&](const std::string& name, Dtype dtype, const std::vector<int64_t>& shape, size_t count) {
    WriteSafetensors(folder_ / "e.safetensors", {{{name, dtype, shape}, std::span(bytes).first(count)}});
  };
  write("states", Dtype::F32, {3, 2}, 24);
  ExpectRefused(MessageOfLoading(), "has no tensor \"embeddings\"");
  write("embeddings", Dtype::F16, {3, 2}, 12);
  ExpectRefused(MessageOfLoading(), "embeddings are F16, expected BF16 or F32");
  write("embeddings", Dtype::F32, {1, 3, 2}, 24);
  ExpectRefused(MessageOfLoading(), "shape [1, 3, 2], expected [tokens, width]");
  write("embeddings", Dtype::F32, {0, 2}, 0);
  ExpectRefused(MessageOfLoading(), "expected [tokens, width]");
}

TEST_F(SavedEmbeddingsTest, RefuseDamagedAndMissingFiles) {
  WriteFileAtomically(folder_ / "e.safetensors", "not a container");
  EXPECT_THROW(LoadEmbeddings(folder_ / "e.safetensors"), Error);
  try {
    LoadEmbeddings(folder_ / "absent.safetensors");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

TEST_F(SavedEmbeddingsTest, SayOfAPictureThatItIsOneAndWhatTakesIt) {
  using namespace std::string_literals;
  const auto refusal_of = [](const std::string& file) -> std::string {
    try {
      LoadEmbeddings(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
      return error.what();
    }
    return "";
  };
  const std::map<std::string, std::string> begins = {{"PNG", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"s},
                                                     {"JPEG", "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1"s},
                                                     {"WebP", "RIFF\x24\0\0\0WEBPVP8 "s}};
  for (const auto& [name, begin] : begins) {
    const std::string expected =
        " is a picture (" + name +
        "), expected saved embeddings (.safetensors); --img2img and --inpaint take pictures to "
        "begin with, --from-picture one of Diptych's to repeat";
    WriteFileAtomically(folder_ / "picture", begin);
    EXPECT_EQ(refusal_of(folder_ / "picture"), (folder_ / "picture") + expected);
    const std::string fifo = folder_ / ("fifo of " + name);
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    std::thread writer([&] { std::ofstream(fifo, std::ios::binary) << begin; });
    EXPECT_EQ(refusal_of(fifo), fifo + expected);
    writer.join();
  }
}

TEST_F(SavedEmbeddingsTest, RefusePickles) {
  WriteFileAtomically(folder_ / "e.pt", "PK");
  EXPECT_THROW(LoadEmbeddings(folder_ / "e.pt"), Error);
  EXPECT_THROW(SaveEmbeddings(folder_ / "e.pt", Sample()), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "e.pt.safetensors"));
}

TEST(EmbeddingStatistics, AgreeWithHandComputedValues) {
  Conditioning conditioning;
  conditioning.header.dtype = StateDtype::kBFloat16;
  conditioning.header.rows = 2;
  conditioning.header.width = 2;
  conditioning.bytes = {0x80, 0x3F, 0x00, 0x40, 0x40, 0x40, 0x00, 0xC0};  // 1, 2, 3, -2
  const EmbeddingStatistics numbers = Summarize(conditioning);
  EXPECT_DOUBLE_EQ(numbers.mean, 1);
  EXPECT_NEAR(numbers.std, 2.160246899, 1e-9);  // sqrt((0 + 1 + 4 + 9) / 3)
  EXPECT_EQ(numbers.min, -2);
  EXPECT_EQ(numbers.max, 3);
}

}  // namespace
}  // namespace diptych
