#include "common/receipt/receipt.h"

#include <nlohmann/json.hpp>

#include "common/error/error.h"
#include "common/image/png.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

PromptParts Prompt(std::string user, std::string system) {
  PromptParts prompt;
  prompt.user = std::move(user);
  prompt.system = std::move(system);
  return prompt;
}

Receipt Sample() {
  Receipt receipt;
  receipt.program_version = "0.1.0";
  receipt.prompt = Prompt("a \"red\" circle\n\xe5\x8f\xa5", "draw");
  receipt.prompt->force_think_block = true;
  receipt.negative = Prompt("blue", "");
  receipt.width = 640;
  receipt.height = 512;
  receipt.seed = 18446744073709551615u;
  receipt.steps = 9;
  receipt.shift = 0.1 + 0.2;
  receipt.guidance_scale = 1.0 / 3.0;
  receipt.cfg_normalization = 5e-324;
  receipt.cfg_truncation = 1;
  receipt.layer = -2;
  receipt.long_prompt_mode = LongPromptMode::kInterpolate;
  receipt.dtype = "float32";
  receipt.conditioning_dtype = "float32";
  receipt.tiles = {512, 64};
  receipt.transformer_fingerprint = std::string(64, 'a');
  receipt.vae_fingerprint = std::string(64, 'b');
  receipt.text_encoder_fingerprint = std::string(64, 'c');
  receipt.tokenizer_fingerprint = std::string(64, 'd');
  receipt.conditioning_hash = std::string(64, 'e');
  receipt.negative_conditioning_hash = std::string(64, 'f');
  return receipt;
}

nlohmann::json SampleJson() { return nlohmann::json::parse(ToJson(Sample())); }

std::string MessageOf(const std::string& json) {
  try {
    ReceiptFromJson(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

std::string MessageWith(const std::string& field, const nlohmann::json& value) {
  nlohmann::json json = SampleJson();
  json[field] = value;
  return MessageOf(json.dump());
}

TEST(Receipt, ReadsBackExactlyWhatWasWritten) {
  EXPECT_EQ(ReceiptFromJson(ToJson(Sample())), Sample());
  EXPECT_EQ(ToJson(ReceiptFromJson(ToJson(Sample()))), ToJson(Sample()));
}

TEST(Receipt, IsOneLineInAFixedOrder) {
  const std::string json = ToJson(Sample());
  EXPECT_EQ(json.find('\n'), std::string::npos);
  EXPECT_EQ(json.substr(0, 44), R"({"schema":2,"program_version":"0.1.0","promp)");
}

TEST(Receipt, WithoutPromptTellsOfUploadedConditioning) {
  Receipt receipt = Sample();
  receipt.prompt.reset();
  receipt.negative.reset();
  receipt.text_encoder_fingerprint.clear();
  receipt.tokenizer_fingerprint.clear();
  receipt.negative_conditioning_hash.clear();
  EXPECT_EQ(ReceiptFromJson(ToJson(receipt)), receipt);
}

TEST(Receipt, RefusesASchemaThatItDoesNotKnow) {
  EXPECT_EQ(MessageWith("schema", 5),
            "receipt: schema 5 is not known to this version, which reads schemas up to 4; use a newer Diptych");
  nlohmann::json json = SampleJson();
  json.erase("schema");
  EXPECT_EQ(MessageOf(json.dump()), "receipt: field \"schema\" is missing");
}

// Pictures of Z-Image-Turbo's own schedule have the receipts that they always had.
TEST(Receipt, StatesAnotherNoiseSchedule) {
  Receipt receipt = Sample();
  EXPECT_FALSE(nlohmann::json::parse(ToJson(receipt)).contains("schedule"));
  receipt.schedule = "karras, terminal 0.1";
  const nlohmann::json json = nlohmann::json::parse(ToJson(receipt));
  EXPECT_EQ(json.at("schema"), 3);
  EXPECT_EQ(json.at("schedule"), "karras, terminal 0.1");
  EXPECT_EQ(ReceiptFromJson(ToJson(receipt)), receipt);
  EXPECT_EQ(MessageWith("schedule", "karras"), "receipt: unknown field \"schedule\"") << "of schema 2";
}

TEST(Receipt, OfSchemaOneDoesNotKnowHowThePictureWasDecoded) {
  Receipt old = Sample();
  old.tiles.reset();
  const nlohmann::json json = nlohmann::json::parse(ToJson(old));
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_FALSE(json.contains("tile_size"));
  EXPECT_EQ(ReceiptFromJson(ToJson(old)), old);
  EXPECT_EQ(MessageWith("schema", 1), "receipt: unknown field \"tile_overlap\"");
}

TEST(Receipt, OfSchemaTwoSaysHowThePictureWasDecoded) {
  Receipt whole = Sample();
  whole.tiles = DecodeTiles{};
  EXPECT_EQ(ReceiptFromJson(ToJson(whole)).tiles, DecodeTiles{});
  nlohmann::json json = SampleJson();
  json.erase("tile_size");
  EXPECT_EQ(MessageOf(json.dump()), "receipt: field \"tile_size\" is missing");
  EXPECT_EQ(MessageWith("tile_overlap", 512), "receipt: \"tile_overlap\" must be a whole number from 0 to 511");
}

TEST(Receipt, RefusesFieldsThatItWouldNotRepeat) {
  EXPECT_EQ(MessageWith("lora", "x"), "receipt: unknown field \"lora\"");
  EXPECT_EQ(MessageWith("prompt", {{"user", "x"}, {"style", "y"}}), "receipt: unknown field \"prompt.style\"");
}

TEST(Receipt, RefusesWrongTypesAndRanges) {
  EXPECT_EQ(MessageWith("width", 0), "receipt: \"width\" must be a whole number from 1 to 16384");
  EXPECT_EQ(MessageWith("width", -16), "receipt: \"width\" must be a whole number from 1 to 16384");
  EXPECT_EQ(MessageWith("steps", 9.5), "receipt: \"steps\" must be a whole number from 1 to 1000");
  EXPECT_EQ(MessageWith("seed", 1.8446744073709552e19),
            "receipt: \"seed\" must be a whole number from 0 to 18446744073709551615");
  EXPECT_EQ(MessageWith("shift", "3"), "receipt: \"shift\" must be a number from 0.001 to 1000");
  EXPECT_EQ(MessageWith("shift", -3), "receipt: \"shift\" must be a number from 0.001 to 1000");
  EXPECT_EQ(MessageWith("layer", 2), "receipt: \"layer\" must be a whole number from -1000 to -1");
  EXPECT_EQ(MessageWith("layer", -3000000000), "receipt: \"layer\" must be a whole number from -1000 to -1");
  EXPECT_EQ(MessageWith("dtype", "float16"), "receipt: \"dtype\" must be one of bfloat16, float32");
  EXPECT_EQ(MessageWith("vae_fingerprint", "abc"),
            "receipt: \"vae_fingerprint\" must be 64 lower-case hexadecimal digits");
  EXPECT_EQ(MessageWith("prompt", "a circle"), "receipt: \"prompt\" must be an object");
  EXPECT_EQ(MessageWith("prompt", {{"keep_whitespace", 1}}),
            "receipt: \"prompt.keep_whitespace\" must be true or false");
}

TEST(Receipt, RefusesMinusZeroAsALayer) {
  std::string json = ToJson(Sample());
  json.replace(json.find("\"layer\":-2"), 10, "\"layer\":-0");
  EXPECT_EQ(MessageOf(json), "receipt: \"layer\" must be a whole number from -1000 to -1");
}

TEST(Receipt, RefusesWhatIsNotJson) {
  EXPECT_EQ(MessageOf("{"), "receipt: the text is not valid JSON");
  EXPECT_EQ(MessageOf("[]"), "receipt: it must be an object");
  EXPECT_EQ(MessageOf("{\"schema\": 1e999}"), "receipt: the text is not valid JSON");
  EXPECT_NE(MessageOf(std::string(100000, '[')), "");
}

TEST(Receipt, RefusesToWriteTextThatIsNotUtf8) {
  Receipt receipt = Sample();
  receipt.prompt = Prompt("\xff", "");
  EXPECT_THROW(ToJson(receipt), Error);
}

TEST(Receipt, TravelsInAPng) {
  Receipt receipt = Sample();
  receipt.prompt->user += std::string("\0", 1);  // a prompt may hold what a PNG text may not
  const std::string png = EncodePng({1, 1, {0, 0, 0}}, ReceiptPngText(receipt));
  EXPECT_EQ(FindReceipt(ReadPngText(png)), receipt);
}

TEST(Receipt, IsFoundBehindATextOfAnotherProgramWithItsKeyword) {
  const Receipt receipt = Sample();
  EXPECT_EQ(FindReceipt({{"diptych", "a painting in two parts"}, {"diptych", ToJson(receipt)}}), receipt);
  EXPECT_THROW(FindReceipt({{"diptych", "a painting in two parts"}}), Error);
}

TEST(Receipt, IsMissedInAPictureOfAnotherProgram) {
  try {
    FindReceipt({{"parameters", "x"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

}  // namespace
}  // namespace diptych
