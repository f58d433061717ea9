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

std::string RefusalOf(const std::vector<std::string>& outputs, const std::vector<PromptOutputs>& prompts) {
  try {
    NameOutputs(outputs, prompts);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

TEST(OutputNames, CountThePicturesOfAllPrompts) {
  EXPECT_EQ(NameOutputs({"a.png"}, {{}, {.pictures = 2}}), (Names{"a-1.png", "a-2.png", "a-3.png"}));
  EXPECT_EQ(NameOutputs({"a.png"}, std::vector<PromptOutputs>(1)), Names{"a.png"});
  EXPECT_EQ(NameOutputs({"a.png", "b.png"}, {{}, {}}), (Names{"a.png", "b.png"}));
}

TEST(OutputNames, LetAPromptNameItsOwn) {
  EXPECT_EQ(NameOutputs({"a.png"}, {{}, {.own = {"x.png"}}, {.pictures = 2, .own = {"y.png"}}, {}}),
            (Names{"a-1.png", "x.png", "y-1.png", "y-2.png", "a-5.png"}));
  EXPECT_EQ(NameOutputs({"a.png", "b.png"}, {{}, {.pictures = 2, .own = {"x.png", "y.png"}}, {}}),
            (Names{"a.png", "x.png", "y.png", "b.png"}));
  EXPECT_EQ(NameOutputs({"unused.png", "unused too.png"}, {{.own = {"x.png"}}}), Names{"x.png"});
}

TEST(OutputNames, SayWhatIsWrongAndInWhichLine) {
  EXPECT_EQ(RefusalOf({"a.png", "b.png"}, {{}, {}, {}}),
            "--output: 3 pictures and 2 outputs; give one output, or one for each picture");
  EXPECT_EQ(RefusalOf({"a.png"}, {{.pictures = 3, .own = {"x.png", "y.png"}, .place = "f:2"}}),
            "f:2: output: 3 pictures and 2 outputs; give one output, or one for each picture");
  EXPECT_EQ(RefusalOf({"a.png"}, {{}, {.own = {"x/../a-1.png"}, .place = "f:2"}}),
            "f:2: output \"x/../a-1.png\" is given twice");
  EXPECT_EQ(RefusalOf({"a.png"}, {{.own = {""}, .place = "f:1"}}), "f:1: output \"\" is not the name of a file");
  EXPECT_EQ(RefusalOf({"a.JPG"}, {{}}),
            "--output \"a.JPG\" would not be what its name says: pictures are PNG files; name it .png");
}

TEST(NameOutputs, SeesThatTwoSpellingsAreOneFile) {
  EXPECT_THROW(NameOutputs({"not-there.png", "./not-there.png"}, 2, false), UsageError);
  EXPECT_THROW(NameOutputs({"not-there.png", "new/../not-there.png"}, 2, false), UsageError);
}

TEST(CheckPreviewName, TakesJpegFilesAlone) {
  for (const char* name : {"", "p.jpg", "a.b/p.JPEG", "/dev/null"}) EXPECT_NO_THROW(CheckPreviewName(name)) << name;
  for (const char* name : {"p.png", "p", "jpg"}) EXPECT_THROW(CheckPreviewName(name), UsageError) << name;
}

TEST(NameOutputs, RefusesSeveralPicturesForADevice) {
  EXPECT_EQ(NameOutputs({"/dev/null"}, 1, false).size(), 1u);
  EXPECT_THROW(NameOutputs({"/dev/null"}, 2, true), UsageError);
  EXPECT_THROW(NameOutputs({"-"}, 1, false), UsageError);
}

}  // namespace
}  // namespace diptych
