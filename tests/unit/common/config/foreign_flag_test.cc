#include "common/config/foreign_flag.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

const std::vector<std::string> kPicture = {"--guidance-scale", "--steps", "--count", "--size", "--output", "--render"};

std::string AdviceFor(const std::string& flag, const std::string& value = "",
                      const std::vector<std::string>& known = kPicture) {
  return ForeignFlagAdvice(flag, value, known).value_or("none");
}

TEST(ForeignFlag, GuidanceThatIsCountedFromOneIsConverted) {
  for (const char* flag : {"--cfg", "--cfg-scale"}) {
    const std::string advice = AdviceFor(flag, "4.5");
    EXPECT_NE(advice.find(std::string(flag) + " 4.5 is --guidance-scale 3.5"), std::string::npos) << advice;
  }
  EXPECT_NE(AdviceFor("--cfg", "1").find("is --guidance-scale 0"), std::string::npos);
  EXPECT_NE(AdviceFor("--cfg", "0").find("is --guidance-scale 0"), std::string::npos);
  EXPECT_NE(AdviceFor("--cfg", "high").find("write --guidance-scale and 1 less"), std::string::npos);
}

TEST(ForeignFlag, OfOtherProgramsHasAdvice) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"--sampler", "--steps and --shift"},
      {"--sampling-method", "--steps and --shift"},
      {"--scheduler", "--steps and --shift"},
      {"-b", "--count N"},
      {"--batch-size", "--count N"},
      {"--outdir", "--output DIR/"},
      {"--api-key", "no keys"},
      {"--host", "--render HOST:PORT"},
      {"--port", "--render HOST:PORT"},
      {"--guidance", "--guidance-scale"},
      {"--resolution", "--size"},
      {"--lora", "does not exist yet"},
  };
  for (const auto& [flag, piece] : rows) {
    EXPECT_NE(AdviceFor(flag).find(piece), std::string::npos) << flag << ": " << AdviceFor(flag);
  }
  EXPECT_NE(AdviceFor("--host", "", {"--listen"}).find("--listen HOST:PORT"), std::string::npos);
}

TEST(ForeignFlag, HasNoAdviceAboutAFlagThatIsNotThere) {
  EXPECT_EQ(AdviceFor("--cfg", "3", {"--listen"}), "none");
  EXPECT_EQ(AdviceFor("--sampler", "", {}), "none");
  EXPECT_EQ(AdviceFor("--frobnicate"), "none");
}

TEST(ForeignFlag, OfOursInAnotherProgramNamesIt) {
  EXPECT_EQ(WhoTakesFlag("--state-dir"), "; it is a flag of diptych-renderd");
  EXPECT_EQ(WhoTakesFlag("--log-prompts"), "; it is a flag of diptych-encoderd and of diptych-renderd");
  EXPECT_EQ(WhoTakesFlag("--steps"), "; it is a flag of other commands of diptych");
  EXPECT_EQ(WhoTakesFlag("--frobnicate"), "");
}

}  // namespace
}  // namespace diptych
