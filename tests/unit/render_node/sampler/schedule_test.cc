#include "common/model_config/schedule.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "render_node/sampler/beta_quantile.h"
#include "render_node/sampler/flow_match.h"

namespace diptych::sampler {
namespace {

float FromBits(const std::string& hex) {
  const uint32_t bits = static_cast<uint32_t>(std::stoul(hex, nullptr, 16));
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

ScheduleFacts Parse(const std::string& json) { return ParseSchedule(json, "scheduler_config.json"); }

std::string RefusalOf(const std::string& json) {
  try {
    Parse(json);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
}

// Static schedules follow diffusers' fp32 operations; a dynamic shift goes through the static one that is the same
// number, and the spacings through other libraries' powers and quantiles.
TEST(Schedule, EveryKindHasTheSigmasOfDiffusers) {
  std::ifstream file(DIPTYCH_SOURCE_DIR "/tests/parity/data/golden_schedule_kinds.json");
  const nlohmann::json goldens = nlohmann::json::parse(file);
  ASSERT_GE(goldens.size(), 50u);
  for (const auto& golden : goldens) {
    SCOPED_TRACE(golden["config"].dump() + ", latent " + golden["latent"].dump());
    const ScheduleFacts facts = Parse(golden["config"].dump());
    const int64_t tokens = golden["latent"][0].get<int64_t>() / 2 * (golden["latent"][1].get<int64_t>() / 2);
    const double shift = facts.dynamic ? facts.dynamic->For(tokens) : facts.shift;
    const int steps = golden["steps"];
    const std::vector<float> sigmas = FlowMatchSigmas(steps, shift, facts.schedule);
    ASSERT_EQ(sigmas.size(), golden["sigmas"].size());
    const bool exact = !facts.dynamic && facts.schedule.spacing == Spacing::kEven;
    for (int i = 0; i <= steps; ++i) {
      EXPECT_NEAR(sigmas[i], FromBits(golden["sigmas"][i]), exact ? 0 : 2.5e-7) << steps << " steps, sigma " << i;
    }
  }
}

TEST(Schedule, MissingFieldsAreThoseOfTheClassAndAMissingFileIsTurbo) {
  const ScheduleFacts empty = Parse("{}");
  EXPECT_EQ(empty.shift, 1.0);
  EXPECT_EQ(empty.schedule, Schedule{});
  EXPECT_FALSE(empty.dynamic);
  ASSERT_EQ(empty.warnings.size(), 1u);
  EXPECT_EQ(empty.warnings[0],
            "scheduler_config.json: the noise schedule is not Z-Image-Turbo's: shift 1, since the file states none "
            "(Z-Image-Turbo's has 3)");
  const std::filesystem::path root = std::filesystem::path(testing::TempDir()) / "diptych_unreadable_schedule";
  std::filesystem::create_directories(root / "a");
  std::filesystem::create_symlink("nowhere", root / "a" / "scheduler_config.json");
  std::filesystem::create_symlink("nowhere", root / "b");
  std::ofstream(root / "c") << "a file";
  for (const char* folder : {"a", "b", "c"}) {
    EXPECT_THROW(ReadSchedule((root / folder).string()), Error) << folder << ": there is something, and it is not read";
  }
  std::filesystem::remove_all(root);
  const ScheduleFacts none = ReadSchedule("/nowhere/scheduler");
  EXPECT_EQ(none.shift, 3.0);
  EXPECT_TRUE(none.warnings.empty());
  const ScheduleFacts turbo =
      Parse(R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.36.0",
                "num_train_timesteps": 1000, "use_dynamic_shifting": false, "shift": 3.0})");
  EXPECT_EQ(turbo.shift, 3.0);
  EXPECT_TRUE(turbo.warnings.empty()) << turbo.warnings[0];
}

// diffusers takes its own default for a key that is listed there.
TEST(Schedule, AValueThatNobodySetIsTheDefaultOfTheClass) {
  EXPECT_EQ(Parse(R"({"shift": 5.0, "_use_default_values": ["shift", "invert_sigmas"]})").shift, 1.0);
}

TEST(Schedule, EverySettingThatChangesTheLevelsIsSaidOnce) {
  for (const char* setting :
       {R"("use_dynamic_shifting": true)", R"("use_karras_sigmas": true)", R"("use_exponential_sigmas": true)",
        R"("use_beta_sigmas": true)", R"("shift_terminal": 0.1)", R"("invert_sigmas": true)"}) {
    const ScheduleFacts facts = Parse(std::string(R"({"shift": 3.0, )") + setting + "}");
    EXPECT_EQ(facts.warnings.size(), 1u) << setting;
    EXPECT_TRUE(facts.dynamic || !(facts.schedule == Schedule{})) << setting;
  }
}

TEST(Schedule, WhatDiffusersWouldIgnoreIsNamed) {
  const ScheduleFacts facts = Parse(R"({"shift": 3.0, "timestep_spacing": "linspace", "sampler": "x", "unset": null})");
  ASSERT_EQ(facts.warnings.size(), 1u);
  EXPECT_EQ(facts.warnings[0],
            "scheduler_config.json: not known here and without effect: \"sampler\", \"timestep_spacing\"");
}

TEST(Schedule, RefusesOtherSteps) {
  EXPECT_EQ(RefusalOf(R"({"_class_name": "UniPCMultistepScheduler", "flow_shift": 5.0, "use_flow_sigmas": true})"),
            "scheduler_config.json: \"_class_name\" is \"UniPCMultistepScheduler\", which takes other steps; only "
            "\"FlowMatchEulerDiscreteScheduler\" is supported: put that there, and a \"shift\" (Z-Image-Turbo: 3)");
  EXPECT_NE(RefusalOf(R"({"shift": 3, "stochastic_sampling": true})"), "");
  EXPECT_NE(RefusalOf(R"({"shift": 3, "num_train_timesteps": 500})"), "");
  EXPECT_NE(RefusalOf(R"({"shift": 3, "use_karras_sigmas": true, "use_beta_sigmas": true})"), "");
  EXPECT_NE(RefusalOf(R"({"shift": 3, "time_shift_type": "cubic"})"), "");
  EXPECT_NE(RefusalOf(R"({"shift": 3, "shift_terminal": 1})"), "");
  EXPECT_NE(RefusalOf(R"({"shift": 0})"), "");
  EXPECT_NE(RefusalOf(R"({"shift": "3"})"), "");
}

TEST(Schedule, TextTellsSchedulesApart) {
  EXPECT_EQ(ToText({}), "");
  EXPECT_EQ(ToText({.spacing = Spacing::kKarras, .sigma_min = 0.02, .terminal = 0.1, .inverted = true}),
            "karras, sigma_min 0.02, terminal 0.1, inverted");
  EXPECT_EQ(ToText({.terminal = 0.1}), "even, terminal 0.1");
  EXPECT_NE(ToText({.terminal = 0.1}), ToText({.terminal = std::nextafter(0.1, 1)}));
}

// Values of scipy 1.17: scipy.stats.beta.ppf(p, 0.6, 0.6).
TEST(BetaQuantile, IsThatOfScipy) {
  EXPECT_EQ(SymmetricBetaQuantile(0, 0.6), 0);
  EXPECT_EQ(SymmetricBetaQuantile(1, 0.6), 1);
  EXPECT_NEAR(SymmetricBetaQuantile(0.5, 0.6), 0.5, 1e-15);
  EXPECT_NEAR(SymmetricBetaQuantile(0.001, 0.6), 1.855873851745199e-05, 1e-18);
  EXPECT_NEAR(SymmetricBetaQuantile(0.1, 0.6), 0.03958440558878085, 1e-15);
  EXPECT_NEAR(SymmetricBetaQuantile(0.25, 0.6), 0.17568037865269498, 1e-14);
  EXPECT_NEAR(SymmetricBetaQuantile(0.7, 0.6), 0.7659829961247643, 1e-14);
  EXPECT_NEAR(SymmetricBetaQuantile(0.999, 0.6), 0.9999814412614826, 1e-14);
}

}  // namespace
}  // namespace diptych::sampler
