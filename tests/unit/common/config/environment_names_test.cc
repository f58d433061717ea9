#include "common/config/environment_names.h"

#include <stdlib.h>

#include "common/config/options.h"
#include "gtest/gtest.h"
#include "tests/support/plain_environment.h"

namespace diptych {
namespace {

using Names = std::vector<std::string>;

TEST(EnvironmentNames, AreTheFlagsInCapitals) {
  EXPECT_EQ(EnvironmentNames(options::kModelPath.info), Names{"DIPTYCH_MODEL_PATH"});
  EXPECT_EQ(EnvironmentNames(options::kInsecure.info), Names{"DIPTYCH_INSECURE"});
  EXPECT_EQ(EnvironmentNames(options::kRender.info), Names{"DIPTYCH_RENDER"});
}

TEST(EnvironmentNames, OfAFlagThatDaemonsShareAreTwo) {
  EXPECT_EQ(EnvironmentNames(options::kEncoderListen.info), (Names{"DIPTYCH_ENCODERD_LISTEN", "DIPTYCH_LISTEN"}));
  EXPECT_EQ(EnvironmentNames(options::kRenderListen.info), (Names{"DIPTYCH_RENDERD_LISTEN", "DIPTYCH_LISTEN"}));
  EXPECT_EQ(EnvironmentNames(options::kPrivateThreads.info), Names{"DIPTYCH_THREADS"});
}

TEST(EnvironmentNames, OfEveryRowAreThereOrItSaysWhyNot) {
  for (const OptionInfo* info : AllOptions()) {
    EXPECT_NE(EnvironmentNames(*info).empty(), info->no_environment.empty()) << info->flag;
  }
}

TEST(UnknownVariables, AreToldWithTheNearestOne) {
  MakeEnvironmentPlain();
  EXPECT_EQ(UnknownVariables(), Names{});
  setenv("DIPTYCH_RENDR", "127.0.0.1:1", 1);
  setenv("DIPTYCH_FROBNICATE", "", 1);
  setenv("DIPTYCH_STATE_DIR", "s", 1);  // of another program, maybe
  setenv("DIPTYCH_TEST_X", "1", 1);
  EXPECT_EQ(UnknownVariables(),
            (Names{"environment variable DIPTYCH_FROBNICATE is none of the settings and has no effect",
                   "environment variable DIPTYCH_RENDR is none of the settings and has no effect; did you mean "
                   "DIPTYCH_RENDER?"}));
  MakeEnvironmentPlain();
}

}  // namespace
}  // namespace diptych
