#include "common/config/settings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/config/environment_names.h"
#include "common/config/options.h"
#include "common/config/value_text.h"
#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/support/plain_environment.h"
#include "tests/support/settings_for_test.h"

namespace diptych {
namespace {

using options::kSteps;

class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = getenv(name)) before_ = before;
    setenv(name, value.c_str(), 1);
  }
  ~ScopedVariable() { before_ ? setenv(name_.c_str(), before_->c_str(), 1) : unsetenv(name_.c_str()); }

 private:
  const std::string name_;
  std::optional<std::string> before_;
};

class SettingsTest : public testing::Test {
 protected:
  SettingsTest()
      : path_(std::filesystem::temp_directory_path() / ("settings_test_" + std::to_string(getpid()) + ".toml")) {
    MakeEnvironmentPlain();
  }
  ~SettingsTest() override { std::filesystem::remove(path_); }

  std::string File(const std::string& toml) {
    std::ofstream(path_) << toml;
    return path_;
  }

  static absl::StatusOr<std::optional<Settings>> Parse(ProgramMask programs, std::vector<std::string> arguments) {
    std::vector<const char*> argv = {"program"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    return ParseDaemonCommandLine(programs, "program", "A program.", static_cast<int>(argv.size()), argv.data());
  }

  static Settings MustParse(ProgramMask programs, const std::vector<std::string>& arguments) {
    absl::StatusOr<std::optional<Settings>> settings = Parse(programs, arguments);
    EXPECT_TRUE(settings.ok()) << settings.status();
    return settings.ok() && *settings ? **settings : SettingsForTest();
  }

  static std::string MessageOf(ProgramMask programs, const std::vector<std::string>& arguments) {
    return std::string(Parse(programs, arguments).status().message());
  }

 private:
  const std::filesystem::path path_;
};

TEST_F(SettingsTest, AreTheBuiltInDefaultsWhenNothingIsGiven) {
  const Settings settings = MustParse(kCliAll, {});
  EXPECT_EQ(settings.Get(kSteps), std::nullopt) << "the model says";
  EXPECT_EQ(settings.Get(options::kHiddenLayer), -2);
  EXPECT_EQ(settings.Get(options::kShift), std::nullopt);
  EXPECT_EQ(settings.Get(options::kSeed), std::nullopt);
  EXPECT_FALSE(settings.Get(options::kForceThinkBlock));
  EXPECT_FALSE(settings.IsSet(kSteps));
}

TEST_F(SettingsTest, FlagWinsOverFileAndFileOverDefault) {
  const std::string file = File("[default.generation]\nnum_inference_steps = 7\nwidth = 512\n");
  const Settings settings = MustParse(kCliAll, {"--config", file, "--steps", "5"});
  EXPECT_EQ(settings.Get(kSteps), 5);
  EXPECT_EQ(settings.OriginOf(kSteps), Origin::kFlag);
  EXPECT_EQ(settings.Get(options::kWidth), 512);
  EXPECT_EQ(settings.OriginOf(options::kWidth), Origin::kFile);
  EXPECT_EQ(settings.OriginOf(options::kHeight), Origin::kDefault);
}

TEST_F(SettingsTest, EnvironmentStandsBetweenFlagAndFile) {
  const ScopedVariable variable("DIPTYCH_RENDER", "environment:2");
  const std::string file = File("[default.render]\naddress = \"file:1\"\n");
  EXPECT_EQ(MustParse(kCliAll, {"--config", file}).Get(options::kRender), "environment:2");
  EXPECT_EQ(MustParse(kCliAll, {"--config", file, "--render", "flag:3"}).Get(options::kRender), "flag:3");
}

TEST_F(SettingsTest, EnvironmentNamesTheFile) {
  const ScopedVariable variable("DIPTYCH_CONFIG", File("[default.generation]\nnum_inference_steps = 7\n"));
  EXPECT_EQ(MustParse(kCliAll, {}).Get(kSteps), 7);
}

TEST_F(SettingsTest, TakeValuesThatBeginWithADash) {
  const Settings settings = MustParse(kCliAll, {"--hidden-layer", "-3", "--negative-prompt", "-blurry"});
  EXPECT_EQ(settings.Get(options::kHiddenLayer), -3);
  EXPECT_EQ(settings.Get(options::kNegativePrompt), "-blurry");
}

TEST_F(SettingsTest, KeepTextsExactly) {
  const std::string text = "[\"a, b\"] {c}\n %s 'd' \xE2\x82\xAC";
  const Settings settings = MustParse(kCliAll, {"--system-prompt", text, "--output", "[a,b].png"});
  EXPECT_EQ(settings.Get(options::kSystemPrompt), text);
  EXPECT_EQ(settings.Get(options::kOutput), options::TextList{"[a,b].png"});
}

TEST_F(SettingsTest, AFlagMayHaveAnEmptyText) {
  const Settings settings = MustParse(kCliAll, {"--system-prompt", "", "--steps", "4"});
  EXPECT_TRUE(settings.IsSet(options::kSystemPrompt));
  EXPECT_EQ(settings.Get(options::kSystemPrompt), "");
  EXPECT_EQ(settings.Get(kSteps), 4);
}

TEST_F(SettingsTest, CollectRepeatedFlagsOfAListAndTakeTheLastOfOthers) {
  const Settings renderd =
      MustParse(kRenderd, {"--encoder", "a:1", "--encoder", "b:2", "--threads", "2", "--threads", "3"});
  EXPECT_EQ(renderd.Get(options::kRenderEncoders), (options::TextList{"a:1", "b:2"}));
  EXPECT_EQ(renderd.Get(options::kRenderThreads), 3);
}

TEST_F(SettingsTest, AListFlagTakesOneValueAtATime) { EXPECT_FALSE(Parse(kRenderd, {"--encoder", "a:1", "b:2"}).ok()); }

TEST_F(SettingsTest, SwitchesTurnOnAndCanOverruleTheFile) {
  const std::string file = File("[default]\ninsecure = true\n");
  EXPECT_TRUE(MustParse(kEncoderd, {"--insecure"}).Get(options::kInsecure));
  EXPECT_TRUE(MustParse(kEncoderd, {"--config", file}).Get(options::kInsecure));
  EXPECT_FALSE(MustParse(kEncoderd, {"--config", file, "--insecure=false"}).Get(options::kInsecure));
}

TEST_F(SettingsTest, ASwitchWithChoicesMayStandAloneAndTakesTrueAndFalse) {
  const std::string on = File("[default.pytorch]\ntiled_vae = true\n");
  EXPECT_EQ(MustParse(kRenderd, {"--config", on}).Get(options::kTiledVae), "on");
  EXPECT_EQ(MustParse(kRenderd, {"--config", on, "--tiled-vae=false"}).Get(options::kTiledVae), "off");
  EXPECT_EQ(MustParse(kRenderd, {"--tiled-vae"}).Get(options::kTiledVae), "on");
  EXPECT_EQ(MustParse(kRenderd, {"--tiled-vae", "--tiled-vae=auto"}).Get(options::kTiledVae), "auto");
  EXPECT_EQ(MustParse(kRenderd, {"--tiled-vae", "--tile-size", "256"}).Get(options::kTileSize), 256);
  EXPECT_EQ(MustParse(kRenderd, {}).Get(options::kTiledVae), "auto");
  EXPECT_EQ(MustParse(kRenderd, {"--tiled-vae=no"}).Get(options::kTiledVae), "off");
  EXPECT_EQ(MessageOf(kRenderd, {"--tiled-vae=maybe"}), "--tiled-vae: \"maybe\" must be one of auto, on, off");
}

TEST_F(SettingsTest, AliasesMeanTheirFlag) {
  EXPECT_TRUE(MustParse(kCliAll, {"--enable-thinking"}).Get(options::kForceThinkBlock));
  EXPECT_TRUE(MustParse(kCliAll, {"--force-think-block"}).Get(options::kForceThinkBlock));
  EXPECT_EQ(MustParse(kCliAll, {"-o", "a.png"}).Get(options::kOutput), options::TextList{"a.png"});
}

TEST_F(SettingsTest, DebugAndVerboseAreShortForTheLogLevel) {
  for (const char* flag : {"--debug", "--verbose", "-v"}) {
    EXPECT_EQ(MustParse(kRenderd, {flag}).Get(options::kLogLevel), "debug") << flag;
  }
  EXPECT_EQ(MustParse(kRenderd, {"--debug", "--log-level", "error"}).Get(options::kLogLevel), "error");
  EXPECT_EQ(MustParse(kRenderd, {}).Get(options::kLogLevel), "info");
}

TEST_F(SettingsTest, OneFlagMayMeanAnotherKeyInAnotherProgram) {
  EXPECT_EQ(MustParse(kEncoderd, {"--listen", "a:1"}).Get(options::kEncoderListen), "a:1");
  const Settings renderd = MustParse(kRenderd, {"--listen", "b:2"});
  EXPECT_EQ(renderd.Get(options::kRenderListen), "b:2");
  EXPECT_EQ(renderd.Get(options::kEncoderListen), "127.0.0.1:7871");
}

TEST_F(SettingsTest, AnErrorNamesFlagValueAndWhatIsRight) {
  EXPECT_EQ(MessageOf(kCliAll, {"--steps", "0"}), "--steps: 0 must be a whole number from 1 to 1000");
  EXPECT_EQ(MessageOf(kCliAll, {"--seed", "x"}),
            "--seed: \"x\" must be a whole number from 0 to 2^64 - 1; leave it out for a random seed");
  EXPECT_EQ(MessageOf(kRenderd, {"--dit-device", "tpu"}), "--dit-device: \"tpu\" must be one of auto, cpu, cuda");
}

TEST_F(SettingsTest, RefuseAFlagOfAnotherProgram) {
  EXPECT_EQ(Parse(kEncoderd, {"--steps", "3"}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MessageOf(kEncoderd, {"--steps=3"}).find('\n'), std::string::npos);
}

TEST_F(SettingsTest, RefuseAnUnknownFlagAndNameTheOneThatWasMeant) {
  EXPECT_EQ(MessageOf(kEncoderd, {"--modle-path", "m"}),
            "unknown flag --modle-path; did you mean --model-path? (program --help lists the flags)");
  EXPECT_EQ(MessageOf(kRenderd, {"--threads", "2", "--tiled_vae=on"}),
            "unknown flag --tiled_vae; did you mean --tiled-vae? (program --help lists the flags)");
  EXPECT_EQ(MessageOf(kRenderd, {"--frobnicate"}), "unknown flag --frobnicate (program --help lists the flags)");
  EXPECT_EQ(MessageOf(kRenderd, {"word"}), "unexpected argument \"word\" (program --help lists the flags)");
}

TEST_F(SettingsTest, RefuseAKeyAsAFlagAndNameItsFlagWhereThereIsOne) {
  EXPECT_EQ(MessageOf(kCliAll, {"--num-inference-steps", "4"}),
            "unknown flag --num-inference-steps; did you mean --steps? (program --help lists the flags)");
  EXPECT_EQ(MessageOf(kEncoderd, {"--num-inference-steps", "4"}),
            "unknown flag --num-inference-steps (program --help lists the flags)");
}

// Of every path in the table, from every source: a shell expands "~" only where it sees it.
TEST_F(SettingsTest, TakeTheHomeFolderForATildeInEveryPath) {
  const ScopedVariable variable("HOME", "/home/somebody");
  const auto text_of = [](const Settings& settings, const OptionInfo& info) {
    const OptionValue value = settings.ValueOf(info);
    const auto* list = std::get_if<options::TextList>(&value);
    return list != nullptr ? list->at(0) : std::get<std::string>(value);
  };
  int paths = 0;
  for (const OptionInfo* info : AllOptions()) {
    if (!IsPath(*info) || info == &options::kConfig.info) continue;
    ++paths;
    const std::string flag(info->flag), key(info->key);
    for (const ProgramMask program : {kEncoderd, kRenderd, kCliAll}) {
      if ((info->programs & program) == 0) continue;
      EXPECT_EQ(text_of(MustParse(program, {flag, "~/x"}), *info), "/home/somebody/x") << flag;
      EXPECT_EQ(text_of(MustParse(program, {flag + "=~/x/y"}), *info), "/home/somebody/x/y") << flag;
      if (key.empty()) continue;
      const std::string value = info->type == OptionType::kTextList ? "[\"~/f\"]" : "\"~/f\"";
      const size_t dot = key.find('.');
      const std::string section = dot == key.npos ? "" : "." + key.substr(0, dot);
      const std::string file = File("[default" + section + "]\n" + key.substr(dot + 1) + " = " + value + "\n");
      EXPECT_EQ(text_of(MustParse(program, {"--config", file}), *info), "/home/somebody/f") << key;
    }
  }
  EXPECT_GT(paths, 8);
  EXPECT_NE(MessageOf(kCliAll, {"--output=~no-such-user/a.png"}).find("there is no user \"no-such-user\""),
            std::string::npos);
}

TEST_F(SettingsTest, FindTheFileItselfInTheHomeFolder) {
  const std::filesystem::path file = File("[default.generation]\nnum_inference_steps = 7\n");
  const ScopedVariable variable("HOME", file.parent_path());
  EXPECT_EQ(MustParse(kCliAll, {"--config=~/" + file.filename().string()}).Get(kSteps), 7);
  const ScopedVariable config("DIPTYCH_CONFIG", "~/" + file.filename().string());
  EXPECT_EQ(MustParse(kCliAll, {}).Get(kSteps), 7);
}

// A legal text of the row that is not its default: the first, or the second.
std::string SomeText(const OptionInfo& info, bool second) {
  if (!info.choices.empty()) {
    std::vector<std::string> choices = SplitCommas(info.choices);
    std::erase(choices, std::string(info.default_text));
    return choices.at(second ? 1 : 0);
  }
  const int64_t number =
      std::max<int64_t>(info.least, 0) / info.multiple * info.multiple + (second ? 2 : 1) * info.multiple;
  switch (info.type) {
    case OptionType::kBool:
      return second ? "false" : "true";
    case OptionType::kInteger:
    case OptionType::kOptionalInteger:
      return std::to_string(info.most < 0 ? (second ? -4 : -3) : number);
    case OptionType::kNumber:
    case OptionType::kOptionalNumber:
      return second ? "0.75" : "0.5";
    case OptionType::kOptionalUnsigned:
      return second ? "18446744073709551615" : "5";
    default:
      return &info == &options::kSize.info ? (second ? "32x48" : "64x80") : (second ? "second" : "first");
  }
}

// For every row that has a variable, in every program that takes it.
TEST_F(SettingsTest, EnvironmentStandsBetweenFlagAndFileForEveryOption) {
  for (const OptionInfo* info : AllOptions()) {
    for (const ProgramMask program : {kEncoderd, kRenderd, kCliAll}) {
      if ((info->programs & program) == 0 || EnvironmentNames(*info).empty()) continue;
      if (info == &options::kConfig.info || info == &options::kProfile.info) continue;  // they choose the file
      const std::string flag(info->flag), key(info->key), first = SomeText(*info, false),
                                                          second = SomeText(*info, true);
      const ScopedVariable variable(EnvironmentName(*info).c_str(), first);
      Settings settings = MustParse(program, {});
      EXPECT_EQ(settings.ValueOf(*info), ParseOption(*info, {first})) << flag;
      EXPECT_EQ(settings.OriginOf(*info), Origin::kEnvironment) << flag;
      settings = MustParse(program, {flag + "=" + second});
      EXPECT_EQ(settings.ValueOf(*info), ParseOption(*info, {second})) << flag;
      EXPECT_EQ(settings.OriginOf(*info), Origin::kFlag) << flag;
      if (!key.empty()) {
        const size_t dot = key.find('.');
        const std::string section = dot == key.npos ? "" : "." + key.substr(0, dot);
        const std::string file = File("[default" + section + "]\n" + key.substr(dot + 1) + " = " +
                                      TomlText(ParseOption(*info, {second})) + "\n");
        settings = MustParse(program, {"--config", file});
        EXPECT_EQ(settings.ValueOf(*info), ParseOption(*info, {first})) << flag;
        unsetenv(EnvironmentName(*info).c_str());
        settings = MustParse(program, {"--config", file});
        EXPECT_EQ(settings.ValueOf(*info), ParseOption(*info, {second})) << flag;
        EXPECT_EQ(settings.OriginOf(*info), Origin::kFile) << flag;
      }
      if (info->type == OptionType::kText && info->choices.empty()) continue;
      if (info->type == OptionType::kTextList) continue;
      setenv(EnvironmentName(*info).c_str(), "?", 1);
      EXPECT_EQ(MessageOf(program, {}).rfind(EnvironmentName(*info) + ": \"?\" must be ", 0), 0u)
          << MessageOf(program, {});
    }
  }
}

TEST_F(SettingsTest, AVariableOfOneDaemonGoesBeforeThatOfAll) {
  const ScopedVariable all("DIPTYCH_LISTEN", "all:1");
  const ScopedVariable one("DIPTYCH_RENDERD_LISTEN", "renderd:1");
  EXPECT_EQ(MustParse(kRenderd, {}).Get(options::kRenderListen), "renderd:1");
  EXPECT_EQ(MustParse(kEncoderd, {}).Get(options::kEncoderListen), "all:1");
}

TEST_F(SettingsTest, AListInTheEnvironmentIsWrittenWithCommas) {
  const ScopedVariable encoders("DIPTYCH_ENCODER", "a:1, b:2");
  EXPECT_EQ(MustParse(kRenderd, {}).Get(options::kRenderEncoders), (options::TextList{"a:1", "b:2"}));
  EXPECT_EQ(MustParse(kRenderd, {"--encoder", "c:1,d:2", "--encoder", "e:3"}).Get(options::kRenderEncoders),
            (options::TextList{"c:1", "d:2", "e:3"}));
  const ScopedVariable output("DIPTYCH_OUTPUT", "a,b.png");  // a file may be called so
  EXPECT_EQ(MustParse(kCliAll, {}).Get(options::kOutput), options::TextList{"a,b.png"});
}

TEST_F(SettingsTest, WarnOfVariablesThatAreNone) {
  const ScopedVariable variable("DIPTYCH_STEP", "3");
  const std::vector<std::string> warnings = MustParse(kCliAll, {}).warnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("DIPTYCH_STEP is none of the settings and has no effect; did you mean DIPTYCH_STEPS?"),
            std::string::npos)
      << warnings[0];
}

TEST_F(SettingsTest, SizeIsShortForBothSides) {
  Settings settings = MustParse(kCliAll, {"--size", "64x80"});
  EXPECT_EQ(settings.Get(options::kWidth), 64);
  EXPECT_EQ(settings.Get(options::kHeight), 80);
  EXPECT_EQ(settings.OriginOf(options::kHeight), Origin::kFlag);
  EXPECT_EQ(MessageOf(kCliAll, {"--size", "64x80", "--width", "32"}),
            "--size: says again what --width says; leave one of them out");
  EXPECT_EQ(MessageOf(kCliAll, {"--size", "64"}), "--size: \"64\" must be WIDTHxHEIGHT in pixels: 1024x768");
  EXPECT_EQ(MessageOf(kCliAll, {"--size", "10x64"}), "--size: 10 must be a whole number from 16 to 16384");
  const ScopedVariable variable("DIPTYCH_SIZE", "96x112");
  const std::string file = File("[default.generation]\nwidth = 512\nheight = 512\n");
  settings = MustParse(kCliAll, {"--config", file, "--width", "32"});
  EXPECT_EQ(settings.Get(options::kWidth), 32);
  EXPECT_EQ(settings.Get(options::kHeight), 112);
}

TEST_F(SettingsTest, FindTheFileThatNobodyNames) {
  const std::filesystem::path home = File("") + ".home";
  std::filesystem::create_directories(home / "diptych");
  std::ofstream(home / "diptych/diptych.toml") << "[default.generation]\nnum_inference_steps = 7\n";
  const ScopedVariable variable("XDG_CONFIG_HOME", home);
  EXPECT_EQ(MustParse(kCliAll, {}).Get(kSteps), std::nullopt);  // DIPTYCH_CONFIG is none
  unsetenv("DIPTYCH_CONFIG");
  const Settings settings = MustParse(kCliAll, {});
  EXPECT_EQ(settings.Get(kSteps), 7);
  EXPECT_EQ(settings.Get(options::kConfig), (home / "diptych/diptych.toml").string());
  EXPECT_EQ(ConfigurationLine(settings),
            "configuration file " + (home / "diptych/diptych.toml").string() + " (found there)");
  EXPECT_EQ(MustParse(kCliAll, {"--config", "none"}).Get(kSteps), std::nullopt);
  EXPECT_EQ(ConfigurationLine(MustParse(kCliAll, {"--config", "none"})), "no configuration file (--config)");
  EXPECT_EQ(MustParse(kCliAll, {"--config", File("[default.generation]\nnum_inference_steps = 5\n")}).Get(kSteps), 5);
  std::ofstream(home / "diptych/diptych.toml") << "[default]\nnonsense = 7\n";
  EXPECT_NE(MessageOf(kCliAll, {}).find("(it is looked for there; --config none reads none)"), std::string::npos);
  std::filesystem::remove(home / "diptych/diptych.toml");
  std::filesystem::create_symlink("nowhere.toml", home / "diptych/diptych.toml");
  EXPECT_NE(MessageOf(kCliAll, {}).find("diptych.toml: it is a link to nowhere.toml, which is not there (it is looked"),
            std::string::npos)
      << MessageOf(kCliAll, {});
  std::filesystem::remove_all(home / "diptych");
  std::filesystem::create_symlink("nowhere", home / "diptych");
  EXPECT_NE(MessageOf(kCliAll, {}).find("/diptych is a link to nowhere, which is not there"), std::string::npos)
      << MessageOf(kCliAll, {});
  std::filesystem::remove_all(home);
}

TEST_F(SettingsTest, RefuseAProfileWithoutAFile) {
  EXPECT_NE(MessageOf(kCliAll, {"--profile", "x"}).find("--config"), std::string::npos);
}

TEST_F(SettingsTest, KnowWhichFlagsOfSomeProgramsWereGiven) {
  const std::string file = File("[default]\nvae_path = \"v\"\n");
  const Settings settings = MustParse(kCliAll, {"--config", file, "--threads", "0", "--steps", "4", "--model-path=m"});
  EXPECT_EQ(settings.GivenFlags(kCliTokenizer | kCliMachine), (std::vector<std::string>{"--model-path", "--threads"}));
}

TEST_F(SettingsTest, HelpAndVersionAreAnsweredWithoutSettings) {
  testing::internal::CaptureStdout();
  const auto help = Parse(kRenderd, {"--help"});
  const std::string text = testing::internal::GetCapturedStdout();
  ASSERT_TRUE(help.ok());
  EXPECT_FALSE(help->has_value());
  EXPECT_NE(text.find("--state-dir"), std::string::npos);
  EXPECT_NE(text.find("(default 127.0.0.1:7872)"), std::string::npos);
  EXPECT_EQ(text.find("--steps"), std::string::npos);

  testing::internal::CaptureStdout();
  const auto version = Parse(kRenderd, {"--version"});
  EXPECT_EQ(testing::internal::GetCapturedStdout().substr(0, 8), "program ");
  ASSERT_TRUE(version.ok());
  EXPECT_FALSE(version->has_value());
}

TEST(SettingsForTest, TakesKeysAndFlags) {
  const Settings settings =
      SettingsForTest({{"encoder.threads", "3"}, {"--seed", "5"}, {"--output", "a"}, {"--output", "b"}});
  EXPECT_EQ(settings.Get(options::kEncoderThreads), 3);
  EXPECT_EQ(settings.Get(options::kRenderThreads), 0);
  EXPECT_EQ(settings.Get(options::kSeed), std::optional<uint64_t>(5));
  EXPECT_EQ(settings.Get(options::kOutput), (options::TextList{"a", "b"}));
  EXPECT_THROW(SettingsForTest({{"encoder.thread", "3"}}), Error);
}

}  // namespace
}  // namespace diptych
