#include "common/config/misplaced_value.h"

#include <CLI/CLI.hpp>

#include "common/config/option.h"
#include "common/config/settings.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using Words = std::vector<std::string>;

std::string Mistake(const Words& words, bool takes_prompt = false) {
  CLI::App app("", "program");
  app.allow_extras();
  std::string prompt;
  if (takes_prompt) app.add_option("PROMPT", prompt);
  SettingsLoader loader(kCliAll);
  loader.AddFlags(app);
  app.parse(Words(words.rbegin(), words.rend()));
  return MisplacedValue(app, words).value_or("none");
}

TEST(MisplacedValue, BehindASwitchBelongsBehindAnEqualsSign) {
  EXPECT_EQ(Mistake({"--insecure", "true"}), "--insecure takes a value only behind \"=\": write --insecure=true");
  EXPECT_EQ(Mistake({"--json", "1"}), "--json takes a value only behind \"=\": write --json=1");
  EXPECT_EQ(Mistake({"--tiled-vae", "on"}), "--tiled-vae takes a value only behind \"=\": write --tiled-vae=on");
  EXPECT_EQ(Mistake({"--tiled-vae", "auto"}), "--tiled-vae takes a value only behind \"=\": write --tiled-vae=auto");
  EXPECT_EQ(Mistake({"-v", "off"}), "-v takes a value only behind \"=\": write --debug=off");
  EXPECT_EQ(
      Mistake({"--tiled-vae", "on"}, true),
      "--tiled-vae takes a value only behind \"=\": write --tiled-vae=on; an argument \"on\" goes in front of the "
      "flags");
}

TEST(MisplacedValue, IsNotWhatStandsElsewhere) {
  EXPECT_EQ(Mistake({"--insecure", "a cat"}, true), "none");
  EXPECT_EQ(Mistake({"--json", "1"}, true), "none");
  EXPECT_EQ(Mistake({"true", "--json"}, true), "none");
  EXPECT_EQ(Mistake({"--negative-prompt", "--json", "true"}, true), "none");
  EXPECT_EQ(Mistake({"--insecure=true", "--tiled-vae", "--steps", "1"}), "none");
  EXPECT_EQ(Mistake({"--json", "--", "true"}, true), "none");
}

TEST(MisplacedValue, IsALongFlagWithAnotherDash) {
  EXPECT_EQ(Mistake({"-steps", "9"}), "\"-steps\" must begin with two dashes: --steps");
  EXPECT_EQ(Mistake({"-model-path=m"}), "\"-model-path=m\" must begin with two dashes: --model-path");
  EXPECT_EQ(Mistake({"\xE2\x80\x93steps", "9"}), "\"\xE2\x80\x93steps\" must begin with two dashes: --steps");
  EXPECT_EQ(Mistake({"\xE2\x80\x94steps", "9"}), "\"\xE2\x80\x94steps\" must begin with two dashes: --steps");
  EXPECT_EQ(Mistake({"-o", "-steps.png"}), "none");
  EXPECT_EQ(Mistake({"-ofile.png"}), "none");
  EXPECT_EQ(Mistake({"-5"}, true), "none");
}

}  // namespace
}  // namespace diptych
