#include "common/model_config/model_index.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

class ModelIndexTest : public testing::Test {
 protected:
  ModelIndex Read(const std::string& json, const fs::path& name = "model") const {
    fs::create_directories(root_ / name);
    std::ofstream(root_ / name / "model_index.json") << json;
    return ReadModelIndex((root_ / name).string());
  }
  std::string RefusalOf(const std::string& json) const {
    try {
      Read(json);
      return "accepted";
    } catch (const Error& error) {
      const std::string text = error.what();
      return text.substr(text.find("model_index.json"));
    }
  }

  const TestFolder folder_;  // of this test alone: ctest runs several at once
  const fs::path root_ = folder_.path;
};

TEST_F(ModelIndexTest, WithoutAWordTheDefaultsAreThoseOfTurbo) {
  for (const ModelIndex& index : {ReadModelIndex(""), ReadModelIndex("/nowhere"), Read("{}"),
                                  Read(R"({"_class_name": "ZImagePipeline", "_diffusers_version": "0.36.0",
                                           "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
                                           "vae": ["diffusers", "AutoencoderKL"]})")}) {
    EXPECT_EQ(index.defaults.width, 1024);
    EXPECT_EQ(index.defaults.height, 1024);
    EXPECT_EQ(index.defaults.steps, 9);
    EXPECT_EQ(index.defaults.guidance_scale, 0);
    EXPECT_TRUE(index.defaults.words.empty());
    EXPECT_TRUE(index.warnings.empty());
  }
}

TEST_F(ModelIndexTest, TheModelSaysItsOwn) {
  const ModelIndex index = Read(R"({"diptych": {"width": 128, "height": 96, "steps": 4, "guidance_scale": 2.5,
                                                "words": ["red", "circle"], "words_described_in": "README.md"}})");
  EXPECT_EQ(index.defaults, (ModelDefaults{128, 96, 4, 2.5, {"red", "circle"}, "README.md"}));
  EXPECT_EQ(Read(R"({"diptych": {"width": 512}})").defaults.height, 1024);
}

TEST_F(ModelIndexTest, ZImageThatIsNotDistilledIsKnownByItsName) {
  for (const char* name : {"Z-Image", "z-image-base", "models--Tongyi-MAI--Z-Image/snapshots/04cc4a"}) {
    const ModelDefaults defaults = Read("{}", name).defaults;
    EXPECT_EQ(defaults.steps, 50) << name;
    EXPECT_EQ(defaults.guidance_scale, 4) << name;
    EXPECT_EQ(defaults.width, 1024) << name;
  }
  EXPECT_EQ(Read(R"({"_name_or_path": "Tongyi-MAI/Z-Image"})").defaults.steps, 50);
  EXPECT_EQ(Read(R"({"diptych": {"steps": 30}})", "Z-Image").defaults.steps, 30);
  for (const char* name : {"Z-Image-Turbo", "models--Tongyi-MAI--Z-Image-Turbo/snapshots/04cc4a"}) {
    EXPECT_EQ(Read("{}", name).defaults.steps, 9) << name;
  }
  EXPECT_EQ(Read(R"({"_name_or_path": "Tongyi-MAI/Z-Image-Turbo"})").defaults.steps, 9);
}

// The scheduler files that the two models are published with: a static shift of 6, and of 3.
TEST_F(ModelIndexTest, ZImageThatIsNotDistilledIsKnownByItsShiftUnderAnyOtherName) {
  const auto with_shift = [&](const std::string& scheduler, const std::string& name) {
    fs::create_directories(root_ / name / "scheduler");
    std::ofstream(root_ / name / "scheduler" / "scheduler_config.json") << scheduler;
    return Read("{}", name);
  };
  const std::string base = R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.37.0.dev0",
                               "num_train_timesteps": 1000, "use_dynamic_shifting": false, "shift": 6.0})";
  const ModelIndex index = with_shift(base, "my-model");
  EXPECT_EQ(index.defaults.steps, 50);
  EXPECT_EQ(index.defaults.guidance_scale, 4);
  ASSERT_EQ(index.warnings.size(), 1u);
  EXPECT_NE(index.warnings[0].find("\"shift\" is 6, as of Z-Image, which is not distilled: 50 steps"),
            std::string::npos);
  EXPECT_TRUE(with_shift(base, "Z-Image").warnings.empty()) << "its name says it";
  const ModelIndex stated = Read(R"({"diptych": {"steps": 9, "guidance_scale": 0}})", "my-model");
  EXPECT_EQ(stated.defaults.steps, 9);
  EXPECT_TRUE(stated.warnings.empty()) << "nothing is guessed";
  EXPECT_EQ(Read(R"({"diptych": {"steps": 9}})", "my-model").warnings.size(), 1u) << "the guidance is";
  EXPECT_EQ(with_shift(base, "Z-Image-Turbo-shift-6").defaults.steps, 9) << "its name says it";
  EXPECT_EQ(with_shift(R"({"shift": 3.0})", "my-model").defaults.steps, 9);
  EXPECT_EQ(with_shift(R"({"shift": 6.0, "use_dynamic_shifting": true})", "my-model").defaults.steps, 9);
  EXPECT_EQ(with_shift("damaged", "my-model").defaults.steps, 9);
}

TEST_F(ModelIndexTest, NamesWhatItDoesNotKnow) {
  const ModelIndex index = Read(R"({"safety_checker": ["x", "y"], "feature": null, "diptych": {"widht": 3}})");
  ASSERT_EQ(index.warnings.size(), 2u);
  EXPECT_NE(index.warnings[0].find("\"diptych\": not known here and without effect: \"widht\""), std::string::npos);
  EXPECT_NE(index.warnings[1].find("not known here and without effect: \"safety_checker\""), std::string::npos);
}

TEST_F(ModelIndexTest, RefusesOtherStepsAndDefaultsOutOfRange) {
  EXPECT_EQ(RefusalOf(R"({"scheduler": ["diffusers", "UniPCMultistepScheduler"]})"),
            "model_index.json: \"scheduler\" names \"UniPCMultistepScheduler\", which takes other steps; only "
            "\"FlowMatchEulerDiscreteScheduler\" is supported");
  for (const char* defaults : {R"({"width": 0})", R"({"width": 20000})", R"({"steps": 1001})", R"({"steps": "nine"})",
                               R"({"guidance_scale": -1})", R"({"words": "red"})", "[]"}) {
    EXPECT_NE(RefusalOf(std::string(R"({"diptych": )") + defaults + "}"), "accepted") << defaults;
  }
  const std::string word = "\"" + std::string(100, 'x') + "\"";
  std::string words = word;
  for (int i = 0; i < 2000; ++i) words += "," + word;
  EXPECT_NE(RefusalOf(R"({"diptych": {"words": [)" + words + "]}}"), "accepted");
}

}  // namespace
}  // namespace diptych
