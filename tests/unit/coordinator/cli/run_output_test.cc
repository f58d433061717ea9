// Where pictures go and in which form, through the whole command line.
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

#include "common/image/picture_file.h"
#include "common/image/png.h"
#include "common/receipt/receipt.h"
#include "coordinator/cli/output_form.h"
#include "coordinator/cli/picture_output.h"
#include "coordinator/files.h"
#include "coordinator/input.h"
#include "tests/unit/coordinator/cli/run_fixture.h"

namespace diptych {
namespace {

using nlohmann::json;

class RunOutputTest : public RunTest {
 protected:
  RunOutputTest() : before_(std::filesystem::current_path()) { std::filesystem::current_path(folder_.path); }
  ~RunOutputTest() override { std::filesystem::current_path(before_); }

  int Paint(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"generate", "a cat",   "--width", "32",     "--height",
                                          "16",       "--steps", "1",       "--seed", "7"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunWithRenderer(arguments);
  }
  static std::string Bytes(const std::string& file) { return ReadBoundedFile(file, 1 << 20); }
  // Without the partial files of writers, which nobody may leave behind.
  static std::vector<std::string> Files(const std::string& folder = ".") {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path().filename());
    std::sort(files.begin(), files.end());
    return files;
  }

  const std::filesystem::path before_;
};

TEST_F(RunOutputTest, WritesEveryFormatAndRepeatsFromIt) {
  for (const auto& [name, format] :
       {std::pair("a.png", PictureFormat::kPng), std::pair("a.jpg", PictureFormat::kJpeg),
        std::pair("a.JPEG", PictureFormat::kJpeg), std::pair("a.webp", PictureFormat::kWebp)}) {
    ASSERT_EQ(Paint({"-o", name}), kExitDone) << err_.str();
    EXPECT_EQ(SniffPictureFormat(Bytes(name)), format) << name;
    const PictureText texts = ReadPictureText(Bytes(name));
    EXPECT_EQ(FindReceipt(texts).seed, 7u);
    EXPECT_EQ(texts.back().first, "parameters");
    ASSERT_EQ(RunWithRenderer({"generate", "--from-picture", name, "-o", "again.png"}), kExitDone) << err_.str();
    EXPECT_NE(out_.str().find("receipt identical"), std::string::npos) << out_.str();
    EXPECT_EQ(Bytes("again.png"), Bytes("a.png")) << name;
  }
}

TEST_F(RunOutputTest, HeedsFormatQualityAndMetadata) {
  ASSERT_EQ(Paint({"--format", "webp"}), kExitDone) << err_.str();
  EXPECT_EQ(SniffPictureFormat(Bytes("output.webp")), PictureFormat::kWebp);
  ASSERT_EQ(Paint({"-o", "fine.jpg", "--quality", "95"}), kExitDone) << err_.str();
  ASSERT_EQ(Paint({"-o", "rough.jpg", "--quality", "5"}), kExitDone) << err_.str();
  EXPECT_NE(Bytes("fine.jpg"), Bytes("rough.jpg"));
  ASSERT_EQ(Paint({"-o", "whole.png"}), kExitDone) << err_.str();
  for (const char* name : {"bare.png", "bare.jpg", "bare.webp"}) {
    ASSERT_EQ(Paint({"-o", name, "--no-metadata"}), kExitDone) << err_.str();
    EXPECT_EQ(ReadPictureText(Bytes(name)), PictureText{}) << name;
  }
  EXPECT_EQ(DecodePng(Bytes("bare.png")).picture.rgb, DecodePng(Bytes("whole.png")).picture.rgb);
  ASSERT_EQ(Paint({"-o", "whole.png", "--quality", "50"}), kExitDone);
  EXPECT_NE(err_.str().find("--quality has no effect on PNG"), std::string::npos) << err_.str();
  EXPECT_EQ(Paint({"-o", "a.png", "--format", "jpg"}), kExitUsage);
  ExpectOneLineWith("leave one of them out");
}

TEST_F(RunOutputTest, LosesNoPictureUnderANameThatNobodyChose) {
  for (int i = 0; i < 2; ++i) ASSERT_EQ(Paint({}), kExitDone) << err_.str();
  ASSERT_EQ(Paint({"--count", "2"}), kExitDone) << err_.str();
  EXPECT_EQ(Files(), (std::vector<std::string>{"output-1.png", "output-2.png", "output-3.png", "output.png"}));
  ASSERT_EQ(Paint({"--overwrite"}), kExitDone) << err_.str();
  EXPECT_EQ(Files().size(), 4u);
}

TEST_F(RunOutputTest, FillsFoldersAndPatterns) {
  std::filesystem::create_directory("there");
  ASSERT_EQ(Paint({"-o", "there", "--json"}), kExitDone) << err_.str();
  EXPECT_EQ(Files("there"), std::vector<std::string>{"output.png"});
  ASSERT_EQ(Paint({"-o", "new/", "--count", "2"}), kExitDone) << err_.str();
  EXPECT_EQ(Files("new"), (std::vector<std::string>{"output-1.png", "output-2.png"}));
  ASSERT_EQ(Paint({"-o", "p/{prompt}-{seed}-{width}.jpg", "--count", "2"}), kExitDone) << err_.str();
  EXPECT_EQ(Files("p"), (std::vector<std::string>{"a-cat-7-32.jpg", "a-cat-8-32.jpg"}));
  EXPECT_EQ(Paint({"-o", "{nonsense}.png"}), kExitUsage);
  ExpectOneLineWith("there is no field {nonsense}; a name may hold {seed}");
}

TEST_F(RunOutputTest, ReplacesOnlyPicturesUnlessToldTo) {
  WriteFileAtomically("notes.png", "buy milk");
  EXPECT_EQ(Paint({"-o", "notes.png"}), kExitFailed);
  ExpectOneLineWith("is there already and is no picture");
  EXPECT_EQ(Bytes("notes.png"), "buy milk");
  ASSERT_EQ(Paint({"-o", "notes.png", "--overwrite"}), kExitDone) << err_.str();
  const std::string png = Bytes("notes.png");
  ASSERT_EQ(Paint({"-o", "notes.png"}), kExitDone) << err_.str();
  EXPECT_EQ(Bytes("notes.png"), png);
}

TEST_F(RunOutputTest, FetchesInEveryFormAndPlace) {
  ASSERT_EQ(RunWithRenderer({"submit", "a dog", "--seed", "5", "--width", "16", "--height", "16", "--steps", "1"}),
            kExitDone);
  for (const char* output : {"f.jpg", "f/", "{seed}-{prompt}.webp"}) {
    ASSERT_EQ(RunWithRenderer({"fetch", "job-1", "-o", output}), kExitDone) << err_.str();
  }
  for (const char* file : {"f.jpg", "f/job-1.png", "5-a-dog.webp"}) {
    EXPECT_EQ(FindReceipt(ReadPictureText(Bytes(file))).seed, 5u) << file;
  }
  for (int i = 0; i < 2; ++i) ASSERT_EQ(RunWithRenderer({"fetch", "job-1"}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), "output-1.png\n");
  ASSERT_EQ(RunWithRenderer({"fetch", "job-1", "-o", "bare.png", "--no-metadata"}), kExitDone) << err_.str();
  EXPECT_EQ(ReadPictureText(Bytes("bare.png")), PictureText{});
}

TEST_F(RunOutputTest, FitsSizesThatAreNotPainted) {
  for (const char* mode : {"crop", "pad"}) {
    for (const char* ending : {".png", ".jpg", ".webp"}) {
      const std::string name = std::string(mode) + ending;
      ASSERT_EQ(RunWithRenderer({"generate", "a cat", "--width", "50", "--height", "32", "--steps", "1", "--fit", mode,
                                 "-o", name, "--json"}),
                kExitDone)
          << err_.str();
      const json picture = json::parse(out_.str());
      EXPECT_EQ(picture["width"], 50);
      const Receipt receipt = FindReceipt(ReadPictureText(Bytes(name)));
      EXPECT_EQ(receipt.width, std::string(mode) == "crop" ? 64 : 48) << "the receipt says what was painted";
      EXPECT_EQ(receipt.height, 32);
      ASSERT_EQ(RunWithRenderer({"generate", "--from-picture", name, "-o", "again-" + name}), kExitDone) << err_.str();
      EXPECT_EQ(Bytes("again-" + name), Bytes(name));
      EXPECT_NE(out_.str().find("receipt identical"), std::string::npos);
    }
    EXPECT_EQ(DecodePng(Bytes(std::string(mode) + ".png")).picture.width, 50);
  }
  EXPECT_EQ(renderer_.specs().at(0).width(), 64);
  ASSERT_EQ(RunWithRenderer({"generate", "--from-picture", "crop.png", "--width", "64", "-o", "wide.png"}), kExitDone);
  EXPECT_EQ(DecodePng(Bytes("wide.png")).picture.width, 64);
  EXPECT_EQ(RunWithRenderer({"generate", "a cat", "--width", "50", "-o", "x.png"}), kExitUsage);
  ExpectOneLineWith("--width: 50 must be a multiple of 16; the nearest are 48 and 64, or generate --fit crop|pad");
  ASSERT_EQ(Paint({"--fit", "crop", "-o", "{width}.png"}), kExitDone) << err_.str();
  EXPECT_EQ(FindFit(ReadPictureText(Bytes("32.png"))), std::nullopt) << "nothing to fit";
}

// Which the renderer tells only when it is asked.
TEST_F(RunOutputTest, NamesThePictureByTheModelsOwnSize) {
  ASSERT_EQ(RunWithRenderer({"generate", "a cat", "-o", "n/{width}x{height}-{steps}.png"}), kExitDone) << err_.str();
  const v1::JobSpec spec = renderer_.specs().at(0);
  ASSERT_NE(spec.steps(), 0u);
  const std::string name =
      std::to_string(spec.width()) + "x" + std::to_string(spec.height()) + "-" + std::to_string(spec.steps()) + ".png";
  EXPECT_EQ(Files("n"), std::vector<std::string>{name});
}

TEST_F(RunOutputTest, JsonStaysUtf8WhateverAFileIsCalled) {
  const std::string name = folder_ / "p\xff\xc3.png", shown = folder_ / "p\uFFFD\uFFFD.png";
  ASSERT_EQ(RunWithRenderer({"generate", "a cat", "-o", name, "--json"}), kExitDone) << err_.str();
  EXPECT_TRUE(std::filesystem::exists(name));
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_EQ(Lines()[0]["path"], shown);
  ASSERT_EQ(RunWithRenderer({"fetch", "last", "-o", name, "--json", "--overwrite"}), kExitDone) << err_.str();
  EXPECT_EQ(Lines().at(0)["path"], shown);
  EXPECT_EQ(Run({"generate", "--from-picture", name + "x", "--json", "--render", "127.0.0.1:1"}), kExitFailed);
  const nlohmann::json error = nlohmann::json::parse(err_.str());
  EXPECT_NE(error["error"]["message"].get<std::string>().find(shown), std::string::npos) << error;
}

// Two commands in one folder may choose the same name before either has its picture.
TEST_F(RunOutputTest, TakesTheNextNameWhenItsOwnWasTaken) {
  const std::string png = EncodePng({1, 1, {1, 2, 3}}, {});
  const OutputName name{"x.png", PictureFormat::kPng, /*chosen=*/true};
  EXPECT_EQ(WriteOutput(name, {}, png), "x.png");
  EXPECT_EQ(WriteOutput(name, {}, png), "x-1.png");
  EXPECT_EQ(WriteOutput(name, {}, png), "x-2.png");
  EXPECT_EQ(WriteOutput({"x.png", PictureFormat::kPng, false}, {}, png), "x.png");
  EXPECT_EQ(Files(), (std::vector<std::string>{"x-1.png", "x-2.png", "x.png"}));
}

}  // namespace
}  // namespace diptych
