// Jobs that a real renderer paints together.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/image/png.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/user.h"

namespace diptych::integration {
namespace {

using nlohmann::json;

// Minutes of work, of another size than the others.
const Arguments kEndless = {"--width", "512", "--height", "512", "--steps", "1000"};
// Long enough to be cancelled in.
const Arguments kMedium = {"--width", "192", "--height", "192", "--steps", "30"};

class Studio : public User {
 public:
  explicit Studio(const Arguments& flags)
      : User(FreeAddress()),
        encoder_(StartEncoder(ToyPath("toy_a"), {"--threads", "1", "--torch-dtype", "float32"})),
        renderer_("diptych-renderd",
                  Arguments{"--model-path", ToyPath("toy_a"), "--encoder", encoder_.address(), "--state-dir",
                            *this / "state", "--threads", "1", "--torch-dtype", "float32"} +
                      flags,
                  address()) {}

  Picture PictureOf(const std::string& id) const { return DecodePng(Fetch(id)).picture; }
  // How often the renderer's log says this.
  int Count(const std::string& text) const {
    const std::string log = renderer_.Log();
    int count = 0;
    for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
    return count;
  }

 private:
  Daemon encoder_, renderer_;
};

// At most one grey level off, and seldom.
void ExpectNear(const Picture& found, const Picture& wanted) {
  ASSERT_EQ(found.rgb.size(), wanted.rgb.size());
  size_t equal = 0;
  int worst = 0;
  for (size_t i = 0; i < found.rgb.size(); ++i) {
    const int difference = std::abs(int{found.rgb[i]} - int{wanted.rgb[i]});
    equal += difference == 0;
    worst = std::max(worst, difference);
  }
  EXPECT_LE(worst, 1);
  EXPECT_GE(static_cast<double>(equal), 0.999 * static_cast<double>(found.rgb.size()));
}

// Of captions with one, two and three times 32 rows, and each with its own seed.
TEST(Batch, JobsThatFitArePaintedTogetherToThePicturesThatEachIsAlone) {
  std::string long_prompt, longer_prompt;
  for (int i = 0; i < 10; ++i) long_prompt += "a red cat and ";
  longer_prompt = long_prompt + long_prompt;
  const std::vector<std::string> prompts = {"A cat", long_prompt, longer_prompt, "A dog"};
  const auto flags = [](size_t i) { return kMedium + Arguments{"--seed", std::to_string(i + 1)}; };
  const Studio alone({}), together({"--batch", "4"});

  const std::string hold = together.Submit(kEndless, "A house");
  Await("the first is painted", [&] { return together.Job(hold)["state"] == "rendering"; });
  std::vector<std::string> ids;
  for (size_t i = 0; i < prompts.size(); ++i) ids.push_back(together.Submit(flags(i), prompts[i]));
  Await("all are ready", [&] {
    return std::all_of(ids.begin(), ids.end(),
                       [&](const std::string& id) { return together.Job(id)["state"] == "ready"; });
  });
  together.Json({"cancel", hold});
  Await("their second step", [&] { return together.Job(ids[3])["step"] >= 2; });
  together.Json({"cancel", ids[3]});

  for (size_t i = 0; i + 1 < prompts.size(); ++i) {
    SCOPED_TRACE(prompts[i]);
    ExpectNear(together.PictureOf(ids[i]), alone.PictureOf(alone.Submit(flags(i), prompts[i])));
  }
  EXPECT_EQ(together.Job(ids[3])["state"], "cancelled");
  EXPECT_EQ(together.Count(", together with 3 more"), 4);
  EXPECT_EQ(alone.Count("together"), 0);
}

}  // namespace
}  // namespace diptych::integration
