#include "common/config/help_text.h"

#include <CLI/CLI.hpp>
#include <sstream>

#include "common/config/environment_names.h"
#include "common/config/options.h"
#include "common/config/settings.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::string HelpOf(ProgramMask programs) {
  CLI::App app("Does a thing that takes more than one line of eighty columns to be told, so that it has to be broken.",
               "program");
  std::string prompt;
  app.add_option("PROMPT", prompt, "what the picture shows");
  app.footer("Examples:\n  program \"a red circle\"");
  SettingsLoader loader(programs);
  loader.AddFlags(app);
  return HelpText(app);
}

TEST(HelpText, ShowsEveryFlagOnceWithItsVariableInEightyColumns) {
  for (const ProgramMask program : {kEncoderd, kRenderd, kCliAll}) {
    const std::string help = HelpOf(program);
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
    for (const OptionInfo* info : AllOptions()) {
      if ((info->programs & program) == 0) continue;
      const std::string flag(info->flag);
      // At the end of the names: before the value's name, or at the end of the line.
      const size_t at = std::min({help.find(flag + " "), help.find(flag + "\n")});
      ASSERT_NE(at, std::string::npos) << flag;
      EXPECT_FALSE(HelpGroup(*info, program).empty()) << flag;
      if (const std::string name = EnvironmentName(*info); !name.empty()) {
        EXPECT_NE(help.find("[" + name + "]"), std::string::npos) << name;
      }
    }
  }
}

TEST(HelpText, WhatIsOfOneDaemonAloneStandsUnderNoGeneralHeading) {
  EXPECT_EQ(HelpGroup(options::kEncoderWaiting.info, kEncoderd), "Encoders and conditioning");
  for (const ProgramMask daemon : {kEncoderd, kRenderd}) {
    for (const OptionInfo* info : AllOptions()) {
      const bool is_own =
          (info->programs & daemon) != 0 && info->key.starts_with(daemon == kEncoderd ? "encoder." : "render.");
      EXPECT_FALSE(is_own && HelpGroup(*info, daemon) == "General") << info->flag;
    }
  }
}

TEST(HelpText, IsGroupedByTopic) {
  const std::string help = HelpOf(kCliAll);
  size_t last = 0;
  for (const char* heading :
       {"Usage: program [flags] [PROMPT]", "Arguments:", "Prompt:", "Picture:", "Output:", "Job:", "Which jobs:",
        "Connection:", "Model and daemons of this run alone", "General:", "Examples:\n  program \"a red circle\"\n"}) {
    const size_t at = help.find(std::string("\n") + heading, last);
    ASSERT_NE(at, std::string::npos) << heading << "\n" << help;
    last = at;
  }
  const auto below = [&](const char* heading, const char* flag) {
    const size_t begin = help.find(std::string("\n") + heading), end = help.find("\n\n", begin);
    return help.substr(begin, end - begin).find(flag) != std::string::npos;
  };
  EXPECT_TRUE(below("Prompt:", "--negative-prompt"));
  EXPECT_TRUE(below("Picture:", "--width"));
  EXPECT_TRUE(below("Connection:", "--render"));
  EXPECT_TRUE(below("Model and daemons", "--vae-path"));
  EXPECT_FALSE(below("Picture:", "--render"));
  const std::string renderd = HelpOf(kRenderd);
  for (const char* heading : {"Model:", "Connection:", "Computing:", "Queue and kept pictures:", "General:"}) {
    EXPECT_NE(renderd.find(std::string("\n") + heading), std::string::npos) << heading;
  }
}

TEST(HelpText, SaysDefaults) {
  EXPECT_NE(HelpOf(kRenderd).find("(default 127.0.0.1:7872)"), std::string::npos);
  EXPECT_NE(HelpOf(kCliAll).find("lower 32"), std::string::npos);
}

}  // namespace
}  // namespace diptych
