#include "common/config/options.h"

#include <cctype>
#include <map>
#include <set>

#include "common/config/value_text.h"
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

TEST(OptionValues, StateWhatIsLegal) {
  EXPECT_EQ(LegalValues(options::kSteps.info), "a whole number from 1 to 1000");
  EXPECT_EQ(LegalValues(options::kWidth.info), "a whole number from 16 to 16384, a multiple of 16");
  EXPECT_EQ(LegalValues(options::kSeed.info), "a whole number from 0 to 2^63 - 1");
  EXPECT_EQ(LegalValues(options::kTiledVae.info), "one of auto, on, off");
}

TEST(OptionValues, ReadTheLargestSeedExactly) {
  const OptionValue value = ParseOption(options::kSeed.info, {"9223372036854775807"});
  EXPECT_EQ(std::get<std::optional<int64_t>>(value), std::optional<int64_t>(9223372036854775807));
}

TEST(OptionValues, OfASwitchWithChoicesTakeTrueAndFalse) {
  for (const auto& [text, meaning] : {std::pair{"true", "on"}, {"false", "off"}, {"auto", "auto"}, {"on", "on"}}) {
    EXPECT_EQ(std::get<std::string>(ParseOption(options::kTiledVae.info, {text})), meaning);
  }
  EXPECT_ANY_THROW(ParseOption(options::kTiledVae.info, {"yes"}));
  EXPECT_ANY_THROW(ParseOption(options::kDitDevice.info, {"true"}));
}

TEST(OptionValues, RefuseWhatIsNotANumberInRange) {
  const std::map<const OptionInfo*, std::vector<std::string>> bad = {
      {&options::kSteps.info, {"0", "1001", "9x", "", " 9", "1e2", "9.0"}},
      {&options::kSeed.info, {"-1", "9223372036854775808"}},
      {&options::kWidth.info, {"1000", "-16", "16400"}},
      {&options::kGuidanceScale.info, {"nan", "inf", "-0.5", "1,5"}},
      {&options::kForceThinkBlock.info, {"yes", "1", ""}},
      {&options::kLogLevel.info, {"Info", "trace", ""}}};
  for (const auto& [info, texts] : bad) {
    for (const std::string& text : texts) EXPECT_ANY_THROW(ParseOption(*info, {text})) << info->flag << " " << text;
  }
}

TEST(OptionValues, WriteNumbersThatTomlReadsBackAsNumbers) {
  EXPECT_EQ(TomlText(DefaultOf(options::kGuidanceScale.info)), "0.0");
  EXPECT_EQ(TomlText(std::string("a\"b\\c")), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(TomlText(DefaultOf(options::kOutput.info)), "[\"output.png\"]");
  EXPECT_EQ(TomlText(DefaultOf(options::kShift.info)), "");
}

}  // namespace
}  // namespace diptych
