// The shipped model obeys its prompts: pictures painted by the real daemons, measured.
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "common/image/png.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scene_judge.h"
#include "tests/integration/support/scratch.h"

namespace diptych::integration {
namespace {

TEST(SceneJudge, RecognisesEveryDrawnShapeInEveryPlace) {
  const std::vector<std::string> places = {"top left", "top",         "top right", "left",        "center",
                                           "right",    "bottom left", "bottom",    "bottom right"};
  int drawn = 0;
  for (const std::string& shape : SceneShapes()) {
    for (const std::string& colour : SceneColours()) {
      const std::string background = SceneColours()[(drawn + 1 + (SceneColours()[drawn % 10] == colour)) % 10];
      if (background == colour) continue;
      const int place = drawn++ % 9;
      SCOPED_TRACE(colour + " " + shape + " " + places[place] + " on " + background);
      const double centre[] = {0.22, 0.5, 0.78};
      const Scene scene = MeasureScene(
          DrawScene(128, 96, background, colour, shape, 128 * centre[place % 3], 96 * centre[place / 3], 96 * 0.19));
      EXPECT_EQ(scene.background, background);
      ASSERT_EQ(scene.objects.size(), 1u);
      EXPECT_EQ(scene.objects[0].colour, colour);
      EXPECT_EQ(scene.objects[0].shape, shape);
      EXPECT_EQ(scene.objects[0].place, places[place]);
    }
  }
  EXPECT_GE(drawn, 60);
}

TEST(DemoModel, PaintsItsOwnSizeAndNamesWordsThatItDoesNotKnow) {
  const Scratch scratch;
  for (const Arguments& where : {Arguments{"--model-path", DemoModelPath()}, Arguments{}}) {  // private, and not
    Daemon encoder = StartEncoder(DemoModelPath());
    Daemon renderer = StartRenderer(DemoModelPath(), encoder.address(), scratch / "state");
    Arguments arguments = {"generate", "a lighthouse", "--output", scratch / "picture.png"};
    const Arguments remote = {"--render", renderer.address()};
    arguments.insert(arguments.end(), where.begin(), where.end());
    if (where.empty()) arguments.insert(arguments.end(), remote.begin(), remote.end());
    const Outcome outcome = Diptych(arguments);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("diptych: warning: this model does not know \"lighthouse\", and paints anything for it; "
                               "diptych nodes --json lists its words, README.md in the model's folder describes "
                               "them\n"),
              std::string::npos)
        << outcome.err;
    const Picture picture = DecodePng(ReadFile(scratch / "picture.png")).picture;
    EXPECT_EQ(picture.width, 128);
    EXPECT_EQ(picture.height, 128);
  }
}

// 60 single objects, 20 of them in a colour that the model never saw on that shape. The whole grammar is judged on more
// prompts by tools/demo_model/judge.py; models/demo/README.md has the figures.
TEST(DemoModel, ObeysHeldOutPrompts) {
  std::istringstream lines(ReadFile(DIPTYCH_SOURCE_DIR "/tests/integration/data/demo_prompts.jsonl"));
  const Scratch scratch;
  Daemon encoder = StartEncoder(DemoModelPath(), {"--threads", "1"});
  Daemon renderer = StartRenderer(DemoModelPath(), encoder.address(), scratch / "state", {"--threads", "1"});
  std::map<std::string, int> right;
  int count = 0;
  std::string wrong;
  for (std::string line; std::getline(lines, line); ++count) {
    const nlohmann::json order = nlohmann::json::parse(line);
    const nlohmann::json spec = order["spec"], group = spec["groups"][0];
    const Outcome outcome =
        Diptych({"generate", order["prompt"], "--render", renderer.address(), "--seed", order["seed"].dump(),
                 "--output", scratch / "picture.png"});  // size and steps are the model's
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("does not know"), std::string::npos) << outcome.err;
    const Scene scene = MeasureScene(DecodePng(ReadFile(scratch / "picture.png")).picture);
    const SceneObject found = scene.objects.empty() ? SceneObject{} : scene.objects[0];
    const std::map<std::string, bool> answers = {
        {"background", scene.background == spec["background"]},
        {"colour", scene.objects.size() == 1 && found.colour == group["colour"]},
        {"shape", found.shape == group["shape"]},
        {"position", found.place == (spec["position"].is_null() ? "center" : spec["position"])}};
    bool all = true;
    for (const auto& [question, answer] : answers) {
      right[question] += answer;
      all = all && answer;
      if (!answer) wrong += question + ": " + order["prompt"].get<std::string>() + "\n";
    }
    right["all"] += all;
  }
  ASSERT_EQ(count, 60);
  std::string figures;
  for (const auto& [question, answers] : right) figures += question + " " + std::to_string(answers) + "\n";
  RecordProperty("figures", figures);
  EXPECT_GE(right["colour"], 0.97 * count) << figures << wrong;
  EXPECT_GE(right["background"], 0.98 * count) << figures << wrong;
  EXPECT_GE(right["position"], 0.95 * count) << figures << wrong;
  EXPECT_GE(right["shape"], 0.90 * count) << figures << wrong;
  EXPECT_GE(right["all"], 0.90 * count) << figures << wrong;
}

}  // namespace
}  // namespace diptych::integration
