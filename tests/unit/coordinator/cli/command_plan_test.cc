#include "coordinator/cli/command_plan.h"

#include <filesystem>
#include <sstream>

#include "gtest/gtest.h"
#include "tests/support/settings_for_test.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

TEST(CommandPlan, NamesItsPictures) {
  const PicturePlan plan =
      PlanPictures(std::nullopt, ParsePromptFile("a\n{\"prompt\": \"b\", \"count\": 2, \"output\": \"x.png\"}\nc", "f"),
                   SettingsForTest({{"--prompts", "f"}}), [] { return 100; });
  const auto paths = [&](const std::string& output) {
    std::vector<std::filesystem::path> all;
    for (const OutputName& name : NamePictures(plan, {{output}, {}}, 0)) all.push_back(name.path);
    return all;
  };
  EXPECT_EQ(paths("p.png"), (std::vector<std::filesystem::path>{"p-1.png", "x-1.png", "x-2.png", "p-4.png"}));
  EXPECT_EQ(paths("{index}-{prompt}-{width}.png"),
            (std::vector<std::filesystem::path>{"1-a-1024.png", "x-1.png", "x-2.png", "4-c-1024.png"}));
}

TEST(CommandPlan, IsInTheNameOfTheUser) {
  std::ostringstream out;
  Interrupt interrupt;
  const Environment environment{
      .out = out, .err = out, .err_columns = {}, .interrupt = interrupt, .program_folder = {}};
  EXPECT_EQ(ReadCommandPlan("p", SettingsForTest({{"--client", "ann"}}), environment).Request(0).client, "ann");
  EXPECT_NE(ReadCommandPlan("p", SettingsForTest(), environment).Request(0).client, "") << "the login name";
}

}  // namespace
}  // namespace diptych
