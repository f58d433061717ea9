#include "common/config/profile_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "common/config/value_text.h"
#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

class ProfileFile : public testing::Test {
 protected:
  ProfileFile() : folder_(std::filesystem::temp_directory_path() / ("profile_file_test_" + std::to_string(getpid()))) {
    std::filesystem::create_directory(folder_);
  }
  ~ProfileFile() override { std::filesystem::remove_all(folder_); }

  std::string Path() const { return folder_ / "diptych.toml"; }

  // Key to value, as TOML text.
  std::map<std::string, std::string> Read(const std::string& toml, const std::string& profile = "default") {
    std::ofstream(Path()) << toml;
    std::map<std::string, std::string> values;
    for (const auto& [info, value] : ReadProfile(Path(), profile)) values[OptionName(*info)] = TomlText(value);
    return values;
  }

  // The message without the folder: "diptych.toml:2: ...".
  std::string MessageOf(const std::string& toml, const std::string& profile = "default") {
    try {
      Read(toml, profile);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      std::string message = error.what();
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      const std::string prefix = folder_.string() + "/";
      for (size_t at; (at = message.find(prefix)) != std::string::npos;) message.erase(at, prefix.size());
      return message;
    }
    return "";
  }

 private:
  const std::filesystem::path folder_;
};

using Values = std::map<std::string, std::string>;

TEST_F(ProfileFile, HoldsKeysAndSectionsOfAllPrograms) {
  EXPECT_EQ(Read("[default]\nmodel_path = \"m\"\n[default.encoder]\nthreads = 4\nhidden_layer = -3\n"
                 "[default.render]\nencoders = [\"a:1\", \"b:2\"]\n[default.scheduler]\nshift = 3\n"),
            (Values{{"model_path", "\"m\""},
                    {"encoder.threads", "4"},
                    {"encoder.hidden_layer", "-3"},
                    {"render.encoders", "[\"a:1\", \"b:2\"]"},
                    {"scheduler.shift", "3.0"}}));
}

TEST_F(ProfileFile, ProfilesStandAlone) {
  const std::string toml = "[default]\nmodel_path = \"m\"\n[fast.generation]\nnum_inference_steps = 4\n";
  EXPECT_EQ(Read(toml, "fast"), (Values{{"generation.num_inference_steps", "4"}}));
}

TEST_F(ProfileFile, ProfilesInheritWhenTheySaySo) {
  const std::string toml =
      "[default]\nmodel_path = \"m\"\n[default.generation]\nwidth = 512\nheight = 512\n"
      "[middle]\ninherits = \"default\"\n[middle.generation]\nwidth = 256\n"
      "[fast]\ninherits = \"middle\"\n[fast.generation]\nnum_inference_steps = 4\n";
  EXPECT_EQ(Read(toml, "fast"), (Values{{"model_path", "\"m\""},
                                        {"generation.width", "256"},
                                        {"generation.height", "512"},
                                        {"generation.num_inference_steps", "4"}}));
}

TEST_F(ProfileFile, RefusesInheritanceThatDoesNotEnd) {
  EXPECT_EQ(MessageOf("[a]\ninherits = \"b\"\n[b]\ninherits = \"a\"\n", "a"),
            "diptych.toml:4: profile \"a\" inherits from itself");
  EXPECT_EQ(MessageOf("[a]\ninherits = \"nobody\"\n", "a"), "diptych.toml:2: no profile \"nobody\"; the file holds a");
}

TEST_F(ProfileFile, NamesTheNearestKeyForAnUnknownOne) {
  EXPECT_EQ(MessageOf("[default]\n\n[default.encoder]\nhiden_layer = -2\n"),
            "diptych.toml:4: unknown key \"encoder.hiden_layer\"; did you mean \"encoder.hidden_layer\"?");
  EXPECT_EQ(MessageOf("[default]\nmodelpath = \"x\"\n"),
            "diptych.toml:2: unknown key \"modelpath\"; did you mean \"model_path\"?");
  EXPECT_EQ(MessageOf("[default.generation]\nlong_prompt_mode = \"pool\"\n"),
            "diptych.toml:2: unknown key \"generation.long_prompt_mode\"; did you mean \"pytorch.long_prompt_mode\"?");
}

TEST_F(ProfileFile, NamesTheKeyOfAFlagThatIsWrittenAsAKey) {
  EXPECT_EQ(MessageOf("[default.generation]\nsteps = 4\n"),
            "diptych.toml:2: unknown key \"generation.steps\"; did you mean \"generation.num_inference_steps\"?");
  EXPECT_EQ(MessageOf("[default]\ntext-encoder-device = \"cpu\"\n"),
            "diptych.toml:2: unknown key \"text-encoder-device\"; did you mean \"encoder.device\"?");
  EXPECT_EQ(MessageOf("[default]\nlisten = \"a:1\"\n"),
            "diptych.toml:2: unknown key \"listen\"; did you mean \"encoder.listen\" or \"render.listen\"?");
  EXPECT_EQ(MessageOf("[default.generation]\nseed = 4\n"),
            "diptych.toml:2: unknown key \"generation.seed\"; there is only the flag --seed");
}

TEST_F(ProfileFile, ListsWhatIsLegalWhenNothingIsNear) {
  EXPECT_EQ(MessageOf("[default.scheduler]\nkind = \"euler\"\n"),
            "diptych.toml:2: unknown key \"scheduler.kind\"; section scheduler holds shift");
  EXPECT_EQ(MessageOf("[default.devices]\nkind = \"gpu\"\n"),
            "diptych.toml:2: unknown key \"devices.kind\"; section devices holds dit, vae");
  const std::string outside = MessageOf("[default]\nbananas = 1\n");
  EXPECT_EQ(outside.find("did you mean"), std::string::npos) << outside;
  EXPECT_NE(outside.find("model_path, "), std::string::npos) << outside;
  EXPECT_NE(outside.find("sections are client, devices, encoder, "), std::string::npos) << outside;
  const std::string section = MessageOf("[default.bananas]\nthreads = 1\n");
  EXPECT_NE(section.find("unknown section \"bananas\"; the sections are client, devices, "), std::string::npos)
      << section;
}

TEST_F(ProfileFile, NamesTheNearestSectionForAnUnknownOne) {
  EXPECT_EQ(MessageOf("[default]\n[default.encodr]\nthreads = 1\n"),
            "diptych.toml:2: unknown section \"encodr\"; did you mean \"encoder\"?");
}

TEST_F(ProfileFile, ChecksProfilesThatAreNotChosen) {
  EXPECT_EQ(MessageOf("[default]\n[other.encoder]\nthreads = -1\n"),
            "diptych.toml:3: encoder.threads = -1 must be a whole number from 0 to 1024");
}

TEST_F(ProfileFile, SaysWhereSectionsAndKeysBelong) {
  EXPECT_EQ(MessageOf("[encoder]\nthreads = 1\n"),
            "diptych.toml:1: [encoder] is a section, not a profile; write [default.encoder]");
  EXPECT_EQ(MessageOf("model_path = \"x\"\n"),
            "diptych.toml:1: key \"model_path\" stands outside of any profile; put it below [default]");
}

TEST_F(ProfileFile, RefusesWrongTypesWithTheValueAndWhatIsRight) {
  EXPECT_EQ(MessageOf("[default.encoder]\nthreads = \"4\"\n"),
            "diptych.toml:2: encoder.threads = \"4\" must be a whole number from 0 to 1024");
  EXPECT_EQ(MessageOf("[default.encoder]\nthreads = 1.5\n"),
            "diptych.toml:2: encoder.threads = 1.5 must be a whole number from 0 to 1024");
  EXPECT_EQ(MessageOf("[default.render]\nencoders = [\"a\", 2]\n"),
            "diptych.toml:2: render.encoders = 2 in it must be a text: a list of texts");
  EXPECT_EQ(MessageOf("[default.pipeline]\ntorch_dtype = \"float16\"\n"),
            "diptych.toml:2: pipeline.torch_dtype = \"float16\" must be one of auto, bfloat16, float32");
  EXPECT_EQ(MessageOf("[default.scheduler]\nshift = nan\n").substr(0, 37), "diptych.toml:2: scheduler.shift = nan");
}

TEST_F(ProfileFile, ReportsTheFirstMistakeOfSeveral) {
  const std::string toml = "[z.encoder]\nthreads = 2000\n[default]\nnothing = 1\n[a]\nless = 2\n";
  EXPECT_EQ(MessageOf(toml).substr(0, 15), "diptych.toml:2:");
}

TEST_F(ProfileFile, ListsTheProfilesWhenTheChosenOneIsMissing) {
  EXPECT_EQ(MessageOf("[default]\n[rtx4090]\n", "rtx4900"),
            "diptych.toml: no profile \"rtx4900\"; the file holds default, rtx4090");
  EXPECT_EQ(MessageOf("", "x"), "diptych.toml: no profile \"x\"; the file holds no profile at all");
  EXPECT_EQ(Read("# nothing yet\n"), Values{});
}

TEST_F(ProfileFile, NamesTheLineOfBrokenToml) {
  const std::string message = MessageOf("[default]\nmodel_path = \n");
  EXPECT_EQ(message.substr(0, 32), "diptych.toml:2: not valid TOML: ") << message;
}

TEST_F(ProfileFile, SaysThatItCannotReadAMissingFile) {
  try {
    ReadProfile(Path() + ".not", "default");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("diptych.toml.not"), std::string::npos);
  }
}

TEST_F(ProfileFile, IsReadAsWindowsWritesItOrSaysWhatIsWrong) {
  EXPECT_EQ(Read("\xEF\xBB\xBF[default]\r\nmodel_path = \"m\"\r\n"), (Values{{"model_path", "\"m\""}}));
  EXPECT_EQ(MessageOf(std::string("\xFF\xFE[\0d\0", 6)),
            "diptych.toml is UTF-16; save it as UTF-8, for instance with iconv -f UTF-16 -t UTF-8");
}

TEST_F(ProfileFile, SaysHowAListIsWritten) {
  EXPECT_EQ(MessageOf("[default.render]\nencoders = \"a:1\"\n"),
            "diptych.toml:2: render.encoders = \"a:1\" must be a list: [\"a:1\"]");
}

TEST_F(ProfileFile, MayBeAPipe) {
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(Path()) << "[default]\nmodel_path = \"m\"\n"; });
  EXPECT_EQ(ReadProfile(Path(), "default").size(), 1u);
  writer.join();
}

TEST_F(ProfileFile, IsNotAFolder) {
  EXPECT_THROW(ReadProfile(std::filesystem::temp_directory_path(), "default"), Error);
}

}  // namespace
}  // namespace diptych
