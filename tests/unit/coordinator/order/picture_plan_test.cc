#include "coordinator/order/picture_plan.h"

#include <fstream>
#include <functional>
#include <map>

#include "common/config/options.h"
#include "common/config/unknown_name.h"
#include "common/picture/picture_json.h"
#include "coordinator/order/wrong_wish.h"
#include "gtest/gtest.h"
#include "tests/support/settings_for_test.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;
using Seeds = std::vector<uint64_t>;

// The plan of a file of this text. Seeds are drawn as 100, 200, ...
PicturePlan PlanFile(const std::string& text, Values flags = {}) {
  flags.emplace_back("--prompts", "f");
  uint64_t drawn = 0;
  return PlanPictures(std::nullopt, ParsePromptFile(text, "f"), SettingsForTest(flags), [&] { return drawn += 100; });
}

PicturePlan PlanOne(const Values& flags) {
  return PlanPictures("p", {}, SettingsForTest(flags), [] { return 100; });
}

Seeds SeedsOf(const PicturePlan& plan) {
  Seeds seeds;
  for (const PlannedPicture& picture : plan.pictures) seeds.push_back(picture.seed);
  return seeds;
}

std::string RefusalOf(const std::function<void()>& plan) {
  try {
    plan();
  } catch (const WrongWish& error) {
    return error.what();
  }
  return "none";
}

TEST(PicturePlan, OfOnePromptHasFollowingSeedsOrThoseOfTheList) {
  EXPECT_EQ(SeedsOf(PlanOne({{"--seed", "7"}, {"--count", "3"}})), (Seeds{7, 8, 9}));
  EXPECT_EQ(SeedsOf(PlanOne({{"--seeds", "7,3-4"}})), (Seeds{7, 3, 4}));
  EXPECT_EQ(SeedsOf(PlanOne({{"--seed", "7"}, {"--output", "a"}, {"--output", "b"}})), (Seeds{7, 8}));
  const PicturePlan drawn = PlanOne({{"--count", "2"}});
  EXPECT_EQ(SeedsOf(drawn), (Seeds{100, 101}));
  EXPECT_TRUE(drawn.pictures[0].seed_drawn);
  EXPECT_FALSE(drawn.pictures[1].seed_drawn);
  EXPECT_FALSE(PlanOne({{"--seeds", "7"}}).pictures[0].seed_drawn);
}

std::vector<std::string> NotesOf(const std::string& prompt, const ModelDefaultsView& model) {
  PicturePlan plan = PlanPictures(prompt, {}, SettingsForTest(Values{}), [] { return 100; });
  RendererDescription renderer;
  renderer.defaults = model;
  return CompletePlan(renderer, plan);
}

// The demo model at Z-Image-Turbo's size paints noise, for a minute.
TEST(PicturePlan, WarnsOnceOfASizeThatTheModelIsNotMadeFor) {
  const auto notes = [](const Values& values, int32_t own) {
    PicturePlan plan = PlanOne(values);
    RendererDescription renderer;
    renderer.defaults.width = renderer.defaults.height = own;
    return CompletePlan(renderer, plan);
  };
  const std::vector<std::string> far = {
      "1024x1024 is far from the 128x128 that this model is made for; it may paint nothing but noise"};
  EXPECT_EQ(notes({{"--width", "1024"}, {"--height", "1024"}, {"--count", "3"}}, 128), far);
  for (const char* side : {"64", "128", "256"})
    EXPECT_TRUE(notes({{"--width", side}, {"--height", side}}, 128).empty());
  for (const char* side : {"64", "2048"}) EXPECT_TRUE(notes({{"--width", side}, {"--height", side}}, 1024).empty());
  EXPECT_TRUE(notes({}, 128).empty());
}

TEST(PicturePlan, NamesWordsThatTheModelDoesNotKnow) {
  ModelDefaultsView demo = {.words = {"a", "red", "circle"}, .words_described_in = "README.md"};
  EXPECT_TRUE(NotesOf("A red, red circle!", demo).empty());
  EXPECT_EQ(NotesOf("a lighthouse in RED, a lighthouse", demo),
            std::vector<std::string>{"this model does not know \"lighthouse\", \"in\", and paints anything for it; "
                                     "diptych nodes --json lists its words, README.md in the model's folder "
                                     "describes them"});
  demo.words_described_in = "https://example.org/demo";
  EXPECT_TRUE(NotesOf("a cat", demo)[0].ends_with("lists its words, https://example.org/demo describes them"));
  demo.words_described_in = "";
  EXPECT_TRUE(NotesOf("a cat", demo)[0].ends_with("; diptych nodes --json lists its words"));
  EXPECT_TRUE(NotesOf("a lighthouse", {}).empty()) << "a model without a list knows all words";
  const std::vector<std::string> many = NotesOf("b c d e f g h i j k", demo);
  ASSERT_EQ(many.size(), 1u);
  EXPECT_NE(many[0].find("\"i\" and 2 more words, and paints"), std::string::npos) << many[0];
}

TEST(PicturePlan, SaysWhetherAListWasAskedFor) {
  EXPECT_FALSE(PlanOne({}).is_list);
  EXPECT_TRUE(PlanOne({{"--count", "2"}}).is_list);
  EXPECT_TRUE(PlanOne({{"--seeds", "7"}}).is_list);
  EXPECT_TRUE(PlanFile("p").is_list);
}

TEST(PicturePlan, PaintsEveryPromptWithEverySeed) {
  const PicturePlan plan = PlanFile("a\nb", {{"--seeds", "5,1"}});
  EXPECT_EQ(SeedsOf(plan), (Seeds{5, 1, 5, 1}));
  EXPECT_EQ(plan.PromptText(1), "a");
  EXPECT_EQ(plan.PromptText(2), "b");
  EXPECT_EQ(plan.Request(2).prompt->user, "b");
  EXPECT_EQ(plan.Request(2).seed, 5u);
  EXPECT_EQ(plan.Label(2), "picture 3 of 4");
}

TEST(PicturePlan, DrawsASeedForEveryPromptOfItsOwn) {
  const PicturePlan plan = PlanFile("a\nb", {{"--count", "2"}});
  EXPECT_EQ(SeedsOf(plan), (Seeds{100, 101, 200, 201}));
  EXPECT_TRUE(plan.pictures[2].seed_drawn);
}

TEST(PicturePlan, LetsALinesChoiceOfSeedsReplaceTheFlags) {
  const auto seeds = [](const std::string& members, const Values& flags) {
    return SeedsOf(PlanFile("{\"prompt\": \"a\", " + members + "}", flags));
  };
  EXPECT_EQ(seeds("\"seed\": 9", {{"--seeds", "5,1"}}), (Seeds{9}));
  EXPECT_EQ(seeds("\"count\": 2", {{"--seeds", "5,1"}}), (Seeds{100, 101}));
  EXPECT_EQ(seeds("\"seeds\": [9, 2]", {{"--seed", "5"}, {"--count", "3"}}), (Seeds{9, 2}));
  EXPECT_EQ(seeds("\"seed\": 9", {{"--count", "3"}}), (Seeds{9, 10, 11}));
  EXPECT_EQ(seeds("\"count\": 2", {{"--seed", "5"}}), (Seeds{5, 6}));
  EXPECT_EQ(seeds("\"seed\": 5, \"output\": [\"a\", \"b\"]", {}), (Seeds{5, 6}));
  EXPECT_EQ(seeds("\"seed\": 5", {{"--output", "a"}}), (Seeds{5}));
  EXPECT_EQ(RefusalOf([&] { seeds("\"seeds\": [9], \"count\": 2", {}); }),
            "f:1: --seeds names the seed of every picture; leave --seed and --count out");
}

// What a line may say, and two values of it that ask for different pictures.
TEST(PicturePlan, EveryKeyOfALineChangesItsPictureAlone) {
  const std::string folder = DIPTYCH_SOURCE_DIR "/tests/unit/common/image/data/decode/";
  const std::string source = "\"" + folder + "lossless_alpha.webp\"", mask = "\"" + folder + "lossless.webp\"";
  // What needs a source comes with one; every_flag_test looks at what it does beside it.
  const std::string with_source = ", \"img2img\": " + source, with_mask = with_source + ", \"mask\": " + mask;
  const std::map<const OptionInfo*, std::string> values = {
      {&options::kImg2Img.info, source},
      {&options::kInpaint.info, source + ", \"extend\": \"16,0,0,0\""},
      {&options::kMask.info, mask + with_source},
      {&options::kMaskFromAlpha.info, "true" + with_source},
      {&options::kSoftMask.info, "true" + with_mask},
      {&options::kInpaintCrop.info, "8" + with_mask},
      {&options::kExtend.info, "\"16,0,0,0\"" + with_source},
      {&options::kStrength.info, "0.25" + with_source},
      {&options::kSystemPrompt.info, "\"s\""},
      {&options::kThinkingContent.info, "\"t\""},
      {&options::kAssistantContent.info, "\"a\""},
      {&options::kForceThinkBlock.info, "true"},
      {&options::kRemoveQuotes.info, "true"},
      {&options::kKeepWhitespace.info, "true"},
      {&options::kWidth.info, "32"},
      {&options::kHeight.info, "32"},
      {&options::kSize.info, "\"32x48\""},
      {&options::kSteps.info, "2"},
      {&options::kSeed.info, "6"},
      {&options::kSeeds.info, "[6]"},
      {&options::kShift.info, "2.5"},
      {&options::kGuidanceScale.info, "3"},
      {&options::kNegativePrompt.info, "\"blur\""},
      {&options::kCfgNormalization.info, "1"},
      {&options::kCfgTruncation.info, "0.5"},
      {&options::kHiddenLayer.info, "-3"},
      {&options::kLongPromptMode.info, "\"pool\""},
      {&options::kCount.info, "2"},
      {&options::kPriority.info, "5"},
      {&options::kDeadline.info, "60"},
      {&options::kOutput.info, "\"own.png\""}};
  const auto show = [](const PicturePlan& plan, size_t prompt) {
    const PictureRequest& r = plan.prompts[prompt].order.request;
    nlohmann::ordered_json members;
    PutMembers(r, members);
    std::string text = members.dump() + " " + std::to_string(r.priority) + " " + std::to_string(r.timeout_ms);
    for (const uint64_t seed : plan.prompts[prompt].order.seeds) text += " seed " + std::to_string(seed);
    for (const std::string& output : plan.prompts[prompt].outputs) text += " " + output;
    return text;
  };
  for (const OptionInfo* info : AllOptions()) {
    if ((info->programs & kPromptLine) == 0) continue;
    ASSERT_TRUE(values.contains(info)) << "no row for " << info->flag;
    const PicturePlan plan =
        PlanFile("{\"prompt\": \"a\", \"" + BareName(info->flag) + "\": " + values.at(info) + "}\na",
                 {{"--seed", "5"}, {"--guidance-scale", "2"}});
    EXPECT_NE(show(plan, 0), show(plan, 1)) << info->flag;
    EXPECT_EQ(show(plan, 1), show(PlanFile("a", {{"--seed", "5"}, {"--guidance-scale", "2"}}), 0)) << info->flag;
  }
}

TEST(PicturePlan, GivesEveryPictureAnIdempotencyKeyOfItsOwn) {
  const Values key = {{"--idempotency-key", "k"}};
  EXPECT_EQ(PlanOne(key).Request(0).idempotency_key, "k");
  EXPECT_EQ(PlanOne({key[0], {"--count", "2"}}).Request(1).idempotency_key, "k#2");
  const PicturePlan plan = PlanFile("a\nb\n", {key[0], {"--count", "2"}});
  EXPECT_EQ(plan.Request(0).idempotency_key, "k#1");
  EXPECT_EQ(plan.Request(3).idempotency_key, "k#4");
  EXPECT_EQ(SeedsOf(plan), SeedsOf(PlanFile("a\nb\n", {key[0], {"--count", "2"}}))) << "the same jobs again";
  EXPECT_EQ(PlanFile("a\n").Request(0).idempotency_key, "");
}

TEST(PicturePlan, RefusesMorePicturesThanOneCommandTakes) {
  const std::string line = "{\"prompt\": \"a\", \"seeds\": \"0-4999\"}\n";
  EXPECT_EQ(PlanFile(line + line).pictures.size(), 10'000u);
  EXPECT_EQ(RefusalOf([&] { PlanFile(line + line + "\na"); }),
            "f:4: more than 10000 pictures, the limit for one command");
}

TEST(PicturePlan, NamesTheLineOfWhatIsWrong) {
  EXPECT_EQ(RefusalOf([] {
              PlanFile("a\n{\"prompt\": \"b\", \"seed\": 18446744073709551615}", {{"--count", "2"}});
            }),
            "f:2: --seed 18446744073709551615 leaves no room for 2 following seeds; the last must be at most 2^64 - 1");
}

TEST(PicturePlan, TellsOfTheSameThingOnce) {
  const std::string line = "{\"prompt\": \"b\", \"negative_prompt\": \"blur\"}\n";
  const std::vector<std::string> note = {"f:2: --negative-prompt has no effect without --guidance-scale above 0"};
  PicturePlan plan = PlanFile("a\n" + line + line);
  EXPECT_TRUE(plan.notes.empty()) << "the model may be one that is painted with guidance";
  EXPECT_EQ(CompletePlan({}, plan), note);
  EXPECT_EQ(PlanFile("a\n" + line + line, {{"--guidance-scale", "0"}}).notes, note);
}

TEST(PicturePlan, IsOfOneClient) {
  PicturePlan plan = PlanFile("a\nb");
  plan.SetClient("ann");
  for (size_t i = 0; i < plan.pictures.size(); ++i) EXPECT_EQ(plan.Request(i).client, "ann");
  EXPECT_EQ(RefusalOf([&] { plan.SetClient(std::string(65, 'x')); }), "--client is longer than 64 bytes");
}

// A front that knows no exit status looks at the code.
TEST(PicturePlan, OfAWishThatMakesNoSenseIsAnInvalidArgument) {
  const std::function<void()> wishes[] = {[] {
                                            PlanOne({{"--seeds", "7-3"}});
                                          },
                                          [] {
                                            PlanOne({{"--width", "100"}});
                                          },
                                          [] {
                                            PlanOne({{"--img2img", "a"}, {"--inpaint", "b"}});
                                          },
                                          [] { PlanFile("# nothing"); },
                                          [] { PlanFile("{\"prompt\": \"b\", \"size\": 7}"); },
                                          [] { PlanPictures(std::nullopt, {}, SettingsForTest(Values{}), {}); }};
  for (const std::function<void()>& wish : wishes) {
    try {
      wish();
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    }
  }
}

TEST(PicturePlan, HoldsALongConversationOnce) {
  const TestFolder folder;
  const std::string file = folder / "conversation.json";
  const std::string text = R"({"messages": [{"role": "user", "content": "hi"}]})";
  std::ofstream(file) << text;
  const PicturePlan plan =
      PlanPictures(std::nullopt, {}, SettingsForTest({{"--conversation", file}, {"--count", "3"}}), [] { return 1; });
  EXPECT_EQ(plan.prompts.size(), 1u);
  EXPECT_EQ(plan.PromptText(2), text);
}

}  // namespace
}  // namespace diptych
