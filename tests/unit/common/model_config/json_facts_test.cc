#include "common/model_config/json_facts.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

template <typename Read>
std::string RefusalOf(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(JsonFacts, ReadsEachType) {
  const JsonFacts json(R"({"dim": 96, "eps": 1e-5, "tied": true, "axes": [8, 12], "name": "x", "rope": {"theta": 5}})",
                       "c.json");
  EXPECT_EQ(json.Positive("dim"), 96);
  EXPECT_EQ(json.Number("eps"), 1e-5);
  EXPECT_TRUE(json.Bool("tied", false));
  EXPECT_EQ(json.PositiveList("axes"), (std::vector<int64_t>{8, 12}));
  EXPECT_EQ(json.Text("name"), "x");
  EXPECT_EQ(json.Object("rope").Number("theta"), 5);
}

TEST(JsonFacts, NullCountsAsMissing) {
  const JsonFacts json(R"({"head_dim": null})", "c.json");
  EXPECT_FALSE(json.Has("head_dim"));
  EXPECT_EQ(json.Positive("head_dim", 32), 32);
}

TEST(JsonFacts, NamesFileKeyAndValueInRefusals) {
  const JsonFacts json(R"({"dim": -3, "layers": 2.5, "rope": {}, "eps": "small"})", "transformer/config.json");
  EXPECT_EQ(RefusalOf([&] { json.Positive("dim"); }),
            "transformer/config.json: \"dim\" must be a whole number from 1 to 2147483647, found -3");
  EXPECT_NE(RefusalOf([&] { json.Positive("layers"); }), "");
  EXPECT_EQ(RefusalOf([&] { json.Positive("heads"); }), "transformer/config.json: \"heads\" is missing");
  EXPECT_EQ(RefusalOf([&] { json.Object("rope").Number("theta"); }),
            "transformer/config.json: \"rope\": \"theta\" is missing");
  EXPECT_NE(RefusalOf([&] { json.Number("eps"); }), "");
}

TEST(JsonFacts, NamesTheKeysThatNobodyAskedFor) {
  const JsonFacts json(R"({"dim": 3, "zeta": 1, "alpha": 2, "note": 4, "unset": null, "_class_name": "X"})", "c.json");
  json.Positive("dim");
  constexpr std::string_view kHarmless[] = {"note"};
  EXPECT_EQ(json.UnknownKeysWarning(kHarmless), "c.json: not known here and without effect: \"alpha\", \"zeta\"");
  json.Has("zeta");
  json.Has("alpha");
  EXPECT_EQ(json.UnknownKeysWarning(kHarmless), "");
}

TEST(JsonFacts, WarnsOfAnotherClass) {
  EXPECT_EQ(JsonFacts(R"({"_class_name": "A"})", "c.json").OtherClassWarning("A"), "");
  EXPECT_EQ(JsonFacts("{}", "c.json").OtherClassWarning("A"), "");
  EXPECT_EQ(JsonFacts(R"({"_class_name": "FluxTransformer2DModel"})", "c.json").OtherClassWarning("A"),
            "c.json: \"_class_name\" is \"FluxTransformer2DModel\"; it is read as a A");
}

TEST(ConfigFileOf, LiesInTheFolderOrBesideTheFileOrInTheModel) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "json_facts_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "model" / "vae");
  const std::string file = folder / "some.safetensors", model = folder / "model";
  std::ofstream(file) << "x";
  const auto config_of = [](const std::string& path, const std::string& model_path = "") {
    return ConfigFileOf(path, ModelPart::kVae, model_path);
  };
  EXPECT_NE(RefusalOf([&] { config_of(folder); }).find("config.json: not there"), std::string::npos);
  EXPECT_EQ(config_of(file), "");
  EXPECT_EQ(config_of(file, model), "");
  std::ofstream(folder / "model" / "vae" / "config.json") << "{}";
  EXPECT_EQ(config_of(file, model), folder / "model" / "vae" / "config.json");
  std::ofstream(folder / "config.json") << "{}";
  EXPECT_EQ(config_of(folder / ""), folder / "config.json");
  EXPECT_EQ(config_of(file, model), folder / "config.json");
  EXPECT_EQ(RefusalOf([&] { config_of("/no/such/transformer"); }), "there is no folder /no/such");
  std::filesystem::remove_all(folder);
}

TEST(ConfigFileOf, PassesOverOneOfAnotherPart) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "json_facts_test_parts";
  std::filesystem::create_directories(folder);
  const std::string file = folder / "some.safetensors", beside = folder / "config.json";
  std::ofstream(file) << "x";
  const std::pair<const char*, std::optional<ModelPart>> configs[] = {
      {R"({"_class_name": "ZImageTransformer2DModel"})", ModelPart::kTransformer},
      {R"({"_class_name": "AutoencoderKL"})", ModelPart::kVae},
      {R"({"model_type": "qwen3"})", ModelPart::kTextEncoder},
      {"{}", std::nullopt},
      {"no JSON", std::nullopt}};
  for (const auto& [text, of] : configs) {
    std::ofstream(beside) << text;
    for (const ModelPart part : {ModelPart::kTransformer, ModelPart::kVae, ModelPart::kTextEncoder}) {
      EXPECT_EQ(ConfigFileOf(file, part, ""), !of || *of == part ? beside : "") << text;
    }
  }
  std::filesystem::remove_all(folder);
}

TEST(JsonFacts, RefusesWhatIsNoObject) {
  EXPECT_EQ(RefusalOf([] { JsonFacts("[1]", "c.json"); }), "c.json: not a JSON object");
  EXPECT_EQ(RefusalOf([] { JsonFacts("{\"dim\": 1 2}", "c.json"); }), "c.json: not valid JSON: wrong at byte 11");
  EXPECT_EQ(RefusalOf([] { JsonFacts("{", "c.json"); }), "c.json: not valid JSON: it ends too early");
  EXPECT_EQ(RefusalOf([] { JsonFacts("", "c.json"); }),
            "c.json: this is an empty file: its download has not begun, or its disk was full");
  EXPECT_TRUE(JsonFacts(R"({"a": NaN, "b": [-Infinity], "c": 1})", "c.json").Has("c")) << "as Python's json reads it";
  EXPECT_EQ(RefusalOf([] { JsonFacts("[1e999]", "c.json"); }), "c.json: not valid JSON: a number is out of range");
}

TEST(JsonFacts, RefusesAValueThatTheModelDoesNotSupport) {
  const JsonFacts json(R"({"hidden_act": "gelu", "bias": true})", "c.json");
  EXPECT_EQ(RefusalOf([&] { json.Require("hidden_act", "silu"); }),
            "c.json: \"hidden_act\" is \"gelu\"; only \"silu\" is supported");
  EXPECT_NE(RefusalOf([&] { json.RequireIfPresent("bias", false); }), "");
  EXPECT_EQ(RefusalOf([&] { json.RequireIfPresent("absent", false); }), "");
}

}  // namespace
}  // namespace diptych
