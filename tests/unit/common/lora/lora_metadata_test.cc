#include "common/lora/lora_metadata.h"

#include <gtest/gtest.h>

namespace diptych {
namespace {

using Words = std::vector<std::string>;

TEST(LoraMetadata, TakesTriggerWordsAsTheFileNamesThem) {
  EXPECT_EQ(TriggerWords({{"modelspec.trigger_phrase", " sks cat,  ,blue , sks cat"}}), (Words{"sks cat", "blue"}));
  EXPECT_EQ(TriggerWords({{"trigger_words", R"(["a", 1, "b, c"])"}}), (Words{"a", "b, c"}));
  EXPECT_EQ(TriggerWords({{"trigger_word", "[not json"}}), (Words{"[not json"}));
  EXPECT_EQ(TriggerWords({{"trigger_word", "named"}, {"ss_tag_frequency", R"({"a": {"counted": 3}})"}}),
            Words{"named"});
  EXPECT_EQ(TriggerWords({}), Words{});
}

TEST(LoraMetadata, ElseTakesTheTagsOfAllCaptions) {
  const auto words = [](const char* frequencies) { return TriggerWords({{"ss_tag_frequency", frequencies}}); };
  EXPECT_EQ(words(R"({"10_cat": {"cat": 9, "sofa": 3}, "2_dog": {"dog": 4}})"), (Words{"cat", "dog"}));
  EXPECT_EQ(words(R"({"1_p3r5on": {"p3r5on": 1}})"), Words{"p3r5on"});
  EXPECT_EQ(words(R"({"a": {"one caption": 1, "another caption": 1}})"), Words{});  // each is another's whole text
  for (const char* nothing :
       {"", "{", "[]", "3", R"({"a": 3})", R"({"a": {"b": "c"}})", R"({"a": {"b": -1}})", R"({"a": {}})"}) {
    EXPECT_EQ(words(nothing), Words{}) << nothing;
  }
}

TEST(LoraMetadata, KeepsForeignTextWithinBounds) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "w" + std::to_string(i) + ",";
  EXPECT_EQ(TriggerWords({{"trigger_words", many}}).size(), 32u);
  EXPECT_EQ(TriggerWords({{"trigger_words", std::string(1000, 'a') + ",b"}}), Words{"b"});
  EXPECT_LE(BaseModel({{"base_model", std::string(5000, 'a')}}).size(), 200u);
  EXPECT_EQ(BaseModel({{"ss_base_model_version", " "}, {"modelspec.architecture", "z-image/lora"}}), "z-image/lora");
}

TEST(PeftSettings, GiveTheFactorOfAModule) {
  const LoraMetadata metadata = {{"lora_adapter_metadata", R"({"transformer.lora_alpha": 8, "lora_alpha": 100,
      "transformer.alpha_pattern": {"attention.to_q": 4, "^layers.1.attention.to_q": 2}, "transformer.use_rslora": false})"}};
  const PeftSettings plain(metadata);
  EXPECT_EQ(plain.Scale("layers.0.attention.to_k", 4), 2);
  EXPECT_EQ(plain.Scale("layers.0.attention.to_q", 4), 1);
  EXPECT_EQ(plain.Scale("layers.1.attention.to_q", 4), 0.5);
  EXPECT_EQ(
      PeftSettings(LoraMetadata{{"lora_adapter_metadata", R"({"lora_alpha": 8, "use_rslora": true})"}}).Scale("a", 4),
      4);
  EXPECT_FALSE(PeftSettings(LoraMetadata{}).Scale("a", 4));
  EXPECT_FALSE(PeftSettings(LoraMetadata{{"lora_adapter_metadata", R"({"lora_alpha": null})"}}).Scale("a", 4));
}

}  // namespace
}  // namespace diptych
