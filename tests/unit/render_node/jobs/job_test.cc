#include "render_node/jobs/job.h"

#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/job_parameters.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

using enum JobState;

TEST(JobState, AllowsExactlyTheTransitionsOfTheDesign) {
  std::set<std::pair<JobState, JobState>> legal = {
      {kQueued, kEncoding}, {kEncoding, kReady}, {kReady, kRendering}, {kRendering, kDecoding}, {kDecoding, kDone}};
  for (const JobState state : {kQueued, kEncoding, kReady, kRendering, kDecoding}) {
    legal.insert({state, kFailed});
    legal.insert({state, kCancelled});
    if (state != kQueued) legal.insert({state, kQueued});
  }
  for (const JobState from : kJobStates) {
    for (const JobState to : kJobStates) {
      EXPECT_EQ(IsLegal(from, to), legal.contains({from, to})) << JobStateName(from) << " -> " << JobStateName(to);
    }
  }
}

TEST(JobState, IsTerminalWhenNothingLeadsOut) {
  for (const JobState from : kJobStates) {
    bool leads_out = false;
    for (const JobState to : kJobStates) leads_out = leads_out || IsLegal(from, to);
    EXPECT_EQ(IsTerminal(from), !leads_out) << JobStateName(from);
  }
}

std::string RefusalOf(const JobSpec& spec, bool uploaded = false) {
  const auto error = ErrorOf([&] { ValidateSpec(spec, uploaded, 100); });
  if (!error) return "";
  EXPECT_EQ(error->code(), ErrorCode::kInvalidArgument);
  return error->what();
}

TEST(ValidateSpec, AcceptsAnEmptyPromptButNotNone) {
  EXPECT_EQ(RefusalOf(SpecOf("")), "");
  JobSpec spec = SpecOf("");
  spec.prompt.reset();
  EXPECT_EQ(RefusalOf(spec), "a job needs a prompt or uploaded conditioning");
  EXPECT_EQ(RefusalOf(spec, true), "");
}

TEST(ValidateSpec, NamesTheTextThatIsNotUtf8AndWhere) {
  EXPECT_EQ(RefusalOf(SpecOf("a cat \xE5\x96\xB5")), "");
  EXPECT_TRUE(Says(RefusalOf(SpecOf("a cat \xFF")), "prompt.user is not valid UTF-8: byte 0xFF at offset 6"));
  for (const char* text : {"\xED\xA0\x80", "\xC0\xAF", "\xE5\x96"}) {  // a surrogate, too long a form, cut off
    EXPECT_TRUE(Says(RefusalOf(SpecOf(text)), "prompt.user is not valid UTF-8"));
  }
  JobSpec spec = SpecOf("a cat");
  spec.negative = PromptParts();
  spec.negative->system = "\x80";
  EXPECT_TRUE(Says(RefusalOf(spec), "negative.system is not valid UTF-8"));
}

TEST(ValidateSpec, CountsAllPartsOfAPromptTogether) {
  JobSpec spec = SpecOf(std::string(60, 'x'));
  spec.prompt->thinking = std::string(40, 'y');
  EXPECT_EQ(RefusalOf(spec), "");
  spec.prompt->assistant = "z";
  EXPECT_EQ(RefusalOf(spec), "prompt has 101 bytes, the limit is 100");
}

TEST(ValidateSpec, WantsAConversationAlone) {
  JobSpec spec = SpecOf("");
  spec.prompt->conversation_json = "[]";
  EXPECT_EQ(RefusalOf(spec), "");
  spec.prompt->user = "and a cat";
  EXPECT_TRUE(Says(RefusalOf(spec), "conversation_json is the whole conversation"));
}

TEST(ValidateSpec, LimitsNameAndPriorityOfAClient) {
  EXPECT_EQ(RefusalOf(SpecOf("", "J\xC3\xBCrgen@studio, [::1]:50")), "");
  EXPECT_EQ(RefusalOf(SpecOf("", std::string(64, 'c'))), "");
  EXPECT_EQ(RefusalOf(SpecOf("", std::string(65, 'c'))), "client has 65 bytes, the limit is 64");
  for (const char* name : {"a\nb", "\x1B[2J", "\x7F", "\xC2\x9B"}) {
    EXPECT_EQ(RefusalOf(SpecOf("", name)), "client contains a control character; a name is printable text");
  }
  EXPECT_TRUE(Says(RefusalOf(SpecOf("", "\xFF")), "client is not valid UTF-8"));
  EXPECT_EQ(RefusalOf(SpecOf("", "", 100)), "");
  EXPECT_EQ(RefusalOf(SpecOf("", "", -100)), "");
  EXPECT_EQ(RefusalOf(SpecOf("", "", 101)), "priority 101 is not from -100 to 100");
  EXPECT_EQ(RefusalOf(SpecOf("", "", -101)), "priority -101 is not from -100 to 100");
}

TEST(ValidateSpec, RefusesNumbersThatAreNone) {
  JobSpec spec = SpecOf("");
  spec.guidance_scale = std::nan("");
  EXPECT_EQ(RefusalOf(spec), "guidance_scale nan is not a number from 0 to 1000");
  spec.guidance_scale = 0;
  spec.shift = INFINITY;
  EXPECT_EQ(RefusalOf(spec), "shift inf is not a number from 0.001 to 1000");
}

TEST(JobJson, GivesASpecBackAsItWas) {
  JobSpec spec;
  EXPECT_EQ(SpecFromJson(SpecToJson(spec)), spec);
  spec.prompt = PromptParts{"\"user\"\n", "", "think", std::string("\0nul", 4), true, true, true, "[1]"};
  spec.negative = PromptOf("\xE5\x96\xB5");
  spec.width = 1024;
  spec.height = 768;
  spec.steps = 9;
  spec.seed = UINT64_MAX;
  spec.shift = 0.1 + 0.2;
  spec.guidance_scale = 4.5;
  spec.cfg_normalization = 1.25;
  spec.cfg_truncation = 0.75;
  spec.layer = -1;
  spec.long_prompt_mode = LongPromptMode::kAttentionPool;
  spec.client = "ada";
  spec.priority = -3;
  EXPECT_EQ(SpecFromJson(SpecToJson(spec)), spec);
}

TEST(JobJson, GivesTimingsBackAsTheyWere) {
  const JobTimings timings{1, 2.5, 3, 4, {0.1, 0.2}, 5, 6, 7};
  EXPECT_EQ(TimingsFromJson(TimingsToJson(timings)), timings);
  EXPECT_EQ(TimingsFromJson("{}"), JobTimings());
}

// JSON has no number for them, and one such job hid itself and failed its client.
TEST(JobJson, ReadsTimesThatWereNotFiniteAsZero) {
  JobTimings timings;
  timings.encode_ms = std::nan("");
  timings.step_ms = {1, INFINITY};
  timings.total_ms = 5;
  JobTimings expected;
  expected.step_ms = {1, 0};
  expected.total_ms = 5;
  EXPECT_EQ(TimingsFromJson(TimingsToJson(timings)), expected);
}

TEST(JobJson, GivesTheFitOfPromptsBackAsItWas) {
  const PromptFits fits = {PromptFit{1600, 1504}, std::nullopt};
  EXPECT_EQ(FitsFromJson(FitsToJson(fits)), fits);
  EXPECT_EQ(FitsFromJson("{}"), PromptFits());
}

TEST(JobJson, CallsWhatItCannotReadDamaged) {
  for (const char* text : {"", "{", "[]", "{}", R"({"long_prompt_mode": "pool", "width": "wide"})"}) {
    const std::optional<Error> error = ErrorOf([&] { SpecFromJson(text); });
    ASSERT_TRUE(error) << text;
    EXPECT_EQ(error->code(), ErrorCode::kDataLoss) << text;
  }
}

TEST(RenderParametersOf, FillsInWhatTheClientLeftOpen) {
  RendererFacts facts;
  facts.default_shift = 6.5;
  JobSpec spec = SpecOf("");
  EXPECT_EQ(RenderParametersOf(spec, facts).shift, 6.5);
  EXPECT_EQ(RenderParametersOf(spec, facts).cfg_truncation, 1);  // never
  spec.shift = 1.5;
  spec.cfg_truncation = 0.25;
  const RenderParameters parameters = RenderParametersOf(spec, facts);
  EXPECT_EQ(parameters.shift, 1.5);
  EXPECT_EQ(parameters.cfg_truncation, 0.25);
  EXPECT_EQ(parameters.width, 64);
  EXPECT_EQ(parameters.height, 32);
  EXPECT_EQ(parameters.steps, 3);
  EXPECT_EQ(parameters.seed, 7u);
}

}  // namespace
}  // namespace diptych
