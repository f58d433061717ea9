#include "coordinator/cli/output_names.h"

#include <fstream>

#include "coordinator/cli/command.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using Names = std::vector<std::filesystem::path>;

PromptOutputs Prompt(size_t pictures, std::vector<std::string> own = {}, std::string place = "") {
  PromptOutputs prompt{std::vector<PictureFacts>(pictures), std::move(own), std::move(place)};
  for (size_t i = 0; i < pictures; ++i) {
    prompt.pictures[i] = {.index = i + 1, .pictures = pictures, .seed = 40 + i, .prompt = "a red star"};
  }
  return prompt;
}

Names Paths(const std::vector<std::string>& outputs, const std::vector<PromptOutputs>& prompts,
            const OutputForm& form = {}) {
  Names paths;
  for (const OutputName& name : NameOutputs({outputs, form}, prompts)) paths.push_back(name.path);
  return paths;
}
Names Paths(const std::vector<std::string>& outputs, size_t pictures, const OutputForm& form = {}) {
  return Paths(outputs, std::vector<PromptOutputs>{Prompt(pictures)}, form);
}

std::string RefusalOf(const std::vector<std::string>& outputs, const std::vector<PromptOutputs>& prompts,
                      const OutputForm& form = {}) {
  try {
    Paths(outputs, prompts, form);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

TEST(OutputNames, KeepOneNameForOnePicture) { EXPECT_EQ(Paths({"a.png"}, 1), Names{"a.png"}); }

TEST(OutputNames, NumberTheOnlyNameForSeveralPictures) {
  EXPECT_EQ(Paths({"out/a.b.png"}, 3), (Names{"out/a.b-1.png", "out/a.b-2.png", "out/a.b-3.png"}));
  EXPECT_EQ(Paths({"plain"}, 2), (Names{"plain-1.png", "plain-2.png"}));
}

TEST(OutputNames, LetEveryPictureHaveItsOwn) {
  EXPECT_EQ(Paths({"a.png", "b.png"}, 2), (Names{"a.png", "b.png"}));
  EXPECT_THROW(Paths({"a.png", "b.png"}, 3), UsageError);
  EXPECT_THROW(Paths({"a.png", "b.png"}, 1), UsageError);
}

TEST(OutputNames, RefuseNamesThatCannotBeFiles) {
  EXPECT_THROW(Paths({""}, 1), UsageError);
  EXPECT_THROW(Paths({"-"}, 1), UsageError);
  EXPECT_THROW(Paths({"a.png", "x/../a.png"}, 2), UsageError);
}

TEST(OutputNames, CountThePicturesOfAllPrompts) {
  EXPECT_EQ(Paths({"a.png"}, {Prompt(1), Prompt(2)}), (Names{"a-1.png", "a-2.png", "a-3.png"}));
  EXPECT_EQ(Paths({"a.png", "b.png"}, {Prompt(1), Prompt(1)}), (Names{"a.png", "b.png"}));
}

TEST(OutputNames, LetAPromptNameItsOwn) {
  EXPECT_EQ(Paths({"a.png"}, {Prompt(1), Prompt(1, {"x.png"}), Prompt(2, {"y.png"}), Prompt(1)}),
            (Names{"a-1.png", "x.png", "y-1.png", "y-2.png", "a-5.png"}));
  EXPECT_EQ(Paths({"a.png", "b.png"}, {Prompt(1), Prompt(2, {"x.png", "y.png"}), Prompt(1)}),
            (Names{"a.png", "x.png", "y.png", "b.png"}));
  EXPECT_EQ(Paths({"unused.png", "unused too.png"}, {Prompt(1, {"x.png"})}), Names{"x.png"});
}

TEST(OutputNames, SayWhatIsWrongAndInWhichLine) {
  EXPECT_EQ(RefusalOf({"a.png", "b.png"}, {Prompt(1), Prompt(1), Prompt(1)}),
            "--output: 3 pictures and 2 outputs; give one output, or one for each picture");
  EXPECT_EQ(RefusalOf({"a.png"}, {Prompt(3, {"x.png", "y.png"}, "f:2")}),
            "f:2: output: 3 pictures and 2 outputs; give one output, or one for each picture");
  EXPECT_EQ(RefusalOf({"a.png"}, {Prompt(1), Prompt(1, {"x/../a-1.png"}, "f:2")}),
            "f:2: output \"x/../a-1.png\" is given twice");
  EXPECT_EQ(RefusalOf({"a.png"}, {Prompt(1, {""}, "f:1")}), "f:1: output \"\" is not the name of a file");
  EXPECT_EQ(
      RefusalOf({"a.GIF"}, {Prompt(1)}),
      "--output \"a.GIF\" would not be what its name says: pictures are PNG, JPEG or WebP files; name it .png, .jpg "
      "or .webp");
}

TEST(OutputNames, SeeThatTwoSpellingsAreOneFile) {
  EXPECT_THROW(Paths({"not-there.png", "./not-there.png"}, 2), UsageError);
  EXPECT_THROW(Paths({"not-there.png", "new/../not-there.png"}, 2), UsageError);
}

TEST(OutputNames, RefuseSeveralPicturesForADevice) {
  EXPECT_EQ(Paths({"/dev/null"}, 1), Names{"/dev/null"});
  EXPECT_THROW(Paths({"/dev/null"}, 2), UsageError);
}

TEST(OutputNames, SayTheFormat) {
  OutputForm form;
  const auto format = [&](const std::string& name) { return NameOutputs({{name}, form}, {Prompt(1)})[0].format; };
  EXPECT_EQ(format("a.JPG"), PictureFormat::kJpeg);
  EXPECT_EQ(format("a.jpeg"), PictureFormat::kJpeg);
  EXPECT_EQ(format("a.webp"), PictureFormat::kWebp);
  EXPECT_EQ(format("a"), PictureFormat::kPng);
  form.format = PictureFormat::kWebp;
  EXPECT_EQ(format("a"), PictureFormat::kWebp);
  EXPECT_EQ(Paths({"{seed}"}, 1, form), Names{"40.webp"});
  EXPECT_EQ(RefusalOf({"a.png"}, {Prompt(1)}, form),
            "--output \"a.png\" is the name of a PNG file, and --format asks for WebP; leave one of them out");
}

class OutputNamesInAFolder : public testing::Test {
 protected:
  OutputNamesInAFolder() : before_(std::filesystem::current_path()) { std::filesystem::current_path(folder_.path); }
  ~OutputNamesInAFolder() override { std::filesystem::current_path(before_); }
  static void Touch(const std::string& name) { std::ofstream{name} << "x"; }

  TestFolder folder_;
  const std::filesystem::path before_;
};

// Nobody asked for a picture to be lost.
TEST_F(OutputNamesInAFolder, NumberTheDefaultInsteadOfReplacing) {
  EXPECT_EQ(Paths({}, 1), Names{"output.png"});
  Touch("output.png");
  EXPECT_EQ(Paths({}, 1), Names{"output-1.png"});
  Touch("output-1.png");
  Touch("output-7.png");
  Touch("output-x.png");
  EXPECT_EQ(Paths({}, 1), Names{"output-8.png"});
  EXPECT_EQ(Paths({}, 3), (Names{"output-8.png", "output-9.png", "output-10.png"}));
  EXPECT_EQ(Paths({}, {Prompt(1, {"own.png"}), Prompt(1)}), (Names{"own.png", "output-9.png"}));
  EXPECT_TRUE(NameOutputs({{}, {}}, {Prompt(1)})[0].chosen);
  EXPECT_EQ(Paths({}, 1, {.overwrite = true}), Names{"output.png"});
  EXPECT_EQ(Paths({}, 2, {.overwrite = true}), (Names{"output-1.png", "output-2.png"}));
  EXPECT_EQ(Paths({}, 2, {.format = PictureFormat::kJpeg}), (Names{"output-1.jpg", "output-2.jpg"}));
}

TEST_F(OutputNamesInAFolder, PutPicturesIntoFolders) {
  std::filesystem::create_directories("there/sub");
  EXPECT_EQ(Paths({"there"}, 1), Names{"there/output.png"});
  EXPECT_EQ(Paths({"new/"}, 1), Names{"new/output.png"});
  EXPECT_EQ(Paths({"there/"}, 2), (Names{"there/output-1.png", "there/output-2.png"}));
  Touch("there/output-2.png");
  EXPECT_EQ(Paths({"there"}, 2), (Names{"there/output-3.png", "there/output-4.png"}));
  EXPECT_EQ(Paths({"new/", "new/"}, 2), (Names{"new/output.png", "new/output-1.png"}));
  EXPECT_EQ(Paths({"new/{seed}/"}, 2), (Names{"new/40/output-1.png", "new/41/output-2.png"}));
}

TEST_F(OutputNamesInAFolder, FillPatternsAndKeepThemApart) {
  EXPECT_EQ(Paths({"{seed}.png"}, 2), (Names{"40.png", "41.png"}));
  EXPECT_EQ(Paths({"{prompt}.png"}, 3), (Names{"a-red-star.png", "a-red-star-1.png", "a-red-star-2.png"}));
  EXPECT_EQ(Paths({"{index}"}, 2), (Names{"1.png", "2.png"}));
  EXPECT_EQ(Paths({"a{{1}}.png"}, 2), (Names{"a{1}-1.png", "a{1}-2.png"}));
  Touch("40.png");
  EXPECT_EQ(Paths({"{seed}.png"}, 2), (Names{"40-1.png", "41.png"}));
  EXPECT_EQ(Paths({"{seed}.png"}, 2, {.overwrite = true}), (Names{"40.png", "41.png"}));
  EXPECT_EQ(Paths({"40.png"}, 1), Names{"40.png"});
  EXPECT_EQ(RefusalOf({"{sed}.png"}, {Prompt(1)}).rfind("--output \"{sed}.png\": there is no field {sed}", 0), 0u);
  EXPECT_EQ(RefusalOf({}, {Prompt(1, {"{x}"}, "f:3")}).rfind("f:3: output \"{x}\": there is no field {x}", 0), 0u);
}

TEST_F(OutputNamesInAFolder, ShortenNamesForTheirNumbers) {
  const std::string longest = std::string(251, 'x') + ".png";
  for (const auto& path : Paths({longest}, 2)) EXPECT_EQ(path.string().size(), 255u);
}

TEST(NextName, CountsOn) {
  EXPECT_EQ(NextName("a/output.png"), "a/output-1.png");
  EXPECT_EQ(NextName("a/output-9.png"), "a/output-10.png");
  EXPECT_EQ(NextName("a-red-star.png"), "a-red-star-1.png");
  EXPECT_EQ(NextName("-1.png"), "-1-1.png");
}

TEST(CheckPreviewName, TakesJpegFilesAlone) {
  for (const char* name : {"", "p.jpg", "a.b/p.JPEG", "/dev/null"}) EXPECT_NO_THROW(CheckPreviewName(name)) << name;
  for (const char* name : {"p.png", "p", "jpg"}) EXPECT_THROW(CheckPreviewName(name), UsageError) << name;
}

}  // namespace
}  // namespace diptych
