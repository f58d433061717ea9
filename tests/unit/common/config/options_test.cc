#include "common/config/options.h"

#include <cctype>
#include <map>
#include <set>

#include "common/config/value_text.h"
#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::vector<std::string> FlagsOf(const OptionInfo& info) {
  std::vector<std::string> flags = SplitCommas(info.aliases);
  flags.emplace_back(info.flag);
  return flags;
}

TEST(OptionTable, DeclaresEachKeyOnce) {
  std::set<std::string_view> keys;
  for (const OptionInfo* info : AllOptions()) {
    if (info->key.empty()) continue;
    EXPECT_TRUE(keys.insert(info->key).second) << info->key;
  }
  EXPECT_GT(keys.size(), 30u);
}

TEST(OptionTable, GivesAFlagOneMeaningInEachProgram) {
  for (const ProgramMask program : {kEncoderd, kRenderd, kCliAll}) {
    std::set<std::string> flags;
    for (const OptionInfo* info : AllOptions()) {
      if ((info->programs & program) == 0) continue;
      for (const std::string& flag : FlagsOf(*info)) EXPECT_TRUE(flags.insert(flag).second) << flag;
    }
  }
}

TEST(OptionTable, HasALegalDefaultInEveryRow) {
  for (const OptionInfo* info : AllOptions()) EXPECT_NO_THROW(DefaultOf(*info)) << OptionName(*info);
}

TEST(OptionTable, ExplainsEveryRowAndNamesAProgram) {
  for (const OptionInfo* info : AllOptions()) {
    EXPECT_FALSE(info->help.empty()) << OptionName(*info);
    EXPECT_NE(info->help.back(), '.') << OptionName(*info);
    EXPECT_NE(info->programs, 0u) << OptionName(*info);
    EXPECT_EQ(info->flag.substr(0, 2), "--") << OptionName(*info);
  }
}

TEST(OptionTable, HasNoKeyThatIsAlsoASection) {
  std::set<std::string> sections, plain;
  for (const OptionInfo* info : AllOptions()) {
    const std::string key(info->key);
    (key.find('.') == std::string::npos ? plain : sections).insert(key.substr(0, key.find('.')));
  }
  for (const std::string& section : sections) EXPECT_FALSE(plain.contains(section)) << section;
}

// "~/" is the home folder in what is a path, and the unit says that it is one.
TEST(OptionTable, CallsEveryPathAPath) {
  const std::set<std::string> words = {"path",    "dir",          "file",       "folder",  "config", "output",
                                       "prompts", "conversation", "embeddings", "picture", "preview"};
  for (const OptionInfo* info : AllOptions()) {
    const std::string flag(info->flag);
    const bool takes_text = info->type == OptionType::kText || info->type == OptionType::kTextList;
    if (takes_text && info->choices.empty() && words.contains(flag.substr(flag.find_last_of('-') + 1))) {
      EXPECT_TRUE(IsPath(*info)) << flag << " needs the unit FILE, DIR or PATH";
    }
    EXPECT_TRUE(takes_text || !IsPath(*info)) << flag;
  }
}

TEST(OptionValues, StateWhatIsLegal) {
  EXPECT_EQ(LegalValues(options::kSteps.info), "a whole number from 1 to 1000");
  EXPECT_EQ(LegalValues(options::kTileSize.info), "a whole number from 64 to 16384, a multiple of 16");
  EXPECT_EQ(LegalValues(options::kSeed.info), "a whole number from 0 to 2^64 - 1");
  EXPECT_EQ(LegalValues(options::kTiledVae.info), "one of auto, on, off");
}

TEST(OptionValues, ReadTheLargestSeedExactly) {
  const OptionValue value = ParseOption(options::kSeed.info, {"18446744073709551615"});
  EXPECT_EQ(std::get<std::optional<uint64_t>>(value), std::optional<uint64_t>(18446744073709551615u));
}

TEST(OptionValues, OfASwitchWithChoicesTakeTrueAndFalse) {
  for (const auto& [text, meaning] : {std::pair{"true", "on"}, {"false", "off"}, {"auto", "auto"}, {"on", "on"}}) {
    EXPECT_EQ(std::get<std::string>(ParseOption(options::kTiledVae.info, {text})), meaning);
  }
  EXPECT_ANY_THROW(ParseOption(options::kTiledVae.info, {"maybe"}));
  EXPECT_ANY_THROW(ParseOption(options::kDitDevice.info, {"true"}));
}

TEST(OptionValues, RefuseWhatIsNotANumberInRange) {
  const std::map<const OptionInfo*, std::vector<std::string>> bad = {
      {&options::kSteps.info, {"0", "1001", "9x", "", "9.5", "1e4", "9 9", "0x9", "nine", "--9", "+-9"}},
      {&options::kSeed.info, {"-1", "18446744073709551616", "1.8446744073709552e19", "random"}},
      {&options::kTileSize.info, {"1000"}},
      {&options::kWidth.info, {"15", "-16", "16400", "64pixels", "px", "64 x"}},
      {&options::kGuidanceScale.info, {"nan", "inf", "-0.5", "1,5"}},
      {&options::kForceThinkBlock.info, {"maybe", "2", ""}},
      {&options::kLogLevel.info, {"Info", "trace", ""}}};
  for (const auto& [info, texts] : bad) {
    for (const std::string& text : texts) EXPECT_ANY_THROW(ParseOption(*info, {text})) << info->flag << " " << text;
  }
}

TEST(OptionValues, TakeNumbersAsOtherProgramsWriteThem) {
  for (const char* text : {"20", "20.0", "2e1", "+20", " 20", "20 "}) {
    EXPECT_EQ(std::get<std::optional<int64_t>>(ParseOption(options::kSteps.info, {text})), 20) << text;
  }
  for (const char* text : {"1024px", "1024 px", "1024", "1.024e3"}) {
    EXPECT_EQ(std::get<std::optional<int64_t>>(ParseOption(options::kWidth.info, {text})), 1024) << text;
  }
  EXPECT_EQ(std::get<double>(ParseOption(options::kTimeout.info, {"2.5s"})), 2.5);
  for (const char* text : {"1", "on", "Yes", "TRUE"}) {
    EXPECT_TRUE(std::get<bool>(ParseOption(options::kJson.info, {text}))) << text;
  }
  for (const char* text : {"0", "off", "No", "false"}) {
    EXPECT_FALSE(std::get<bool>(ParseOption(options::kJson.info, {text}))) << text;
  }
}

TEST(OptionValues, SayWhatWouldBeRight) {
  const auto refusal = [](const OptionInfo& info, const char* text) -> std::string {
    try {
      ParseOption(info, {text});
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(refusal(options::kGuidanceScale.info, "1,5"),
            "\"1,5\" must be a number from 0 to 1000; a decimal number has a point: 1.5");
  EXPECT_EQ(refusal(options::kWidth.info, "1024x768"),
            "\"1024x768\" must be a whole number from 16 to 16384; --size takes width and height together");
  EXPECT_EQ(refusal(options::kSeed.info, "-1"),
            "\"-1\" must be a whole number from 0 to 2^64 - 1; leave it out for a random seed");
}

TEST(OptionValues, FindBothSidesOfASize) {
  using Size = std::pair<std::string, std::string>;
  for (const char* text : {"1024x768", "1024X768",
                           "1024\xC3\x97"
                           "768",
                           "1024*768"}) {
    EXPECT_EQ(SizeOf(text), Size("1024", "768")) << text;
  }
  EXPECT_EQ(SizeOf("1024px x 768px"), Size("1024px ", " 768px"));
  for (const char* text : {"", "x", "1024", "1024x", "x768", "axb", "0"}) EXPECT_EQ(SizeOf(text), std::nullopt) << text;
}

TEST(OptionValues, WriteNumbersThatTomlReadsBackAsNumbers) {
  EXPECT_EQ(TomlText(DefaultOf(options::kCfgNormalization.info)), "0.0");
  EXPECT_EQ(TomlText(std::string("a\"b\\c")), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(TomlText(DefaultOf(options::kOutput.info)), "[\"output.png\"]");
  EXPECT_EQ(TomlText(DefaultOf(options::kShift.info)), "");
}

}  // namespace
}  // namespace diptych
