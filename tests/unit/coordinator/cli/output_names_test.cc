#include "coordinator/cli/output_names.h"

#include "coordinator/cli/command.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using Names = std::vector<std::filesystem::path>;

TEST(OutputNames, KeepOneNameForOnePicture) { EXPECT_EQ(NameOutputs({"a.png"}, 1, false), Names{"a.png"}); }

TEST(OutputNames, NumberTheOnlyNameForSeveralPictures) {
  EXPECT_EQ(NameOutputs({"out/a.b.png"}, 3, true), (Names{"out/a.b-1.png", "out/a.b-2.png", "out/a.b-3.png"}));
  EXPECT_EQ(NameOutputs({"plain"}, 2, true), (Names{"plain-1", "plain-2"}));
}

TEST(OutputNames, LetTheNumberOfNamesBeTheNumberOfPictures) {
  EXPECT_EQ(NameOutputs({"a.png", "b.png"}, 1, false), (Names{"a.png", "b.png"}));
  EXPECT_EQ(NameOutputs({"a.png", "b.png"}, 2, true), (Names{"a.png", "b.png"}));
}

TEST(OutputNames, RefuseAnotherNumberOfNames) {
  EXPECT_THROW(NameOutputs({"a.png", "b.png"}, 3, true), UsageError);
  EXPECT_THROW(NameOutputs({"a.png", "b.png"}, 1, true), UsageError);
}

TEST(OutputNames, RefuseNamesThatCannotBeFiles) {
  const TestFolder folder;
  EXPECT_THROW(NameOutputs({""}, 1, false), UsageError);
  EXPECT_THROW(NameOutputs({"folder/"}, 1, false), UsageError);
  EXPECT_THROW(NameOutputs({folder.path.string()}, 1, false), UsageError);
  EXPECT_THROW(NameOutputs({"a.png", "x/../a.png"}, 2, true), UsageError);
}

}  // namespace
}  // namespace diptych
