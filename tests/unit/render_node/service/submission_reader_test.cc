#include "render_node/service/submission_reader.h"

#include <cmath>
#include <string>
#include <vector>

#include "common/wire/conditioning_codec.h"
#include "gtest/gtest.h"
#include "tests/unit/render_node/service/render_samples.h"

namespace diptych {
namespace {

constexpr int64_t kPromptByteLimit = 100;

// What the reader says of these messages in this order.
absl::StatusOr<ValidSubmission> Read(const std::vector<v1::SubmitRequest>& messages,
                                     const OperatorLimits& limits = {}) {
  const RendererFacts facts = SampleFacts();
  SubmissionReader reader(facts, kPromptByteLimit, limits);
  for (const v1::SubmitRequest& message : messages) {
    if (absl::Status s = reader.Add(message); !s.ok()) return s;
  }
  return reader.Finish();
}

std::vector<v1::SubmitRequest> Joined(std::vector<v1::SubmitRequest> first,
                                      const std::vector<v1::SubmitRequest>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

struct BadField {
  const char* named;  // what the message must begin with
  void (*spoil)(v1::JobSpec*);
};

class BadSpec : public testing::TestWithParam<BadField> {};

TEST_P(BadSpec, IsRefusedByTheNameOfItsField) {
  v1::JobSpec spec = SampleSpec();
  GetParam().spoil(&spec);
  const absl::Status status = Read({SpecMessage(spec)}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().substr(0, std::string(GetParam().named).size()), GetParam().named) << status;
}

INSTANTIATE_TEST_SUITE_P(
    EveryLimitOfTheProto, BadSpec,
    testing::Values(
        BadField{"a job needs a prompt", [](v1::JobSpec* s) { s->clear_prompt(); }},
        BadField{"prompt has 101 bytes, the limit is 100",
                 [](v1::JobSpec* s) { s->mutable_prompt()->set_user(std::string(101, 'x')); }},
        BadField{"prompt.user is not valid UTF-8", [](v1::JobSpec* s) { s->mutable_prompt()->set_user("\xff"); }},
        BadField{"prompt.conversation_json", [](v1::JobSpec* s) { s->mutable_prompt()->set_conversation_json("{}"); }},
        BadField{"prompt: template_name", [](v1::JobSpec* s) { s->mutable_prompt()->set_template_name("x"); }},
        BadField{"negative has 101 bytes",
                 [](v1::JobSpec* s) { s->mutable_negative()->set_user(std::string(101, 'x')); }},
        BadField{"width 100 ", [](v1::JobSpec* s) { s->set_width(100); }},
        BadField{"width 0 ", [](v1::JobSpec* s) { s->clear_width(); }},
        BadField{"width 1040 ", [](v1::JobSpec* s) { s->set_width(1040); }},
        BadField{"height -16 ", [](v1::JobSpec* s) { s->set_height(-16); }},
        BadField{"steps 0 ", [](v1::JobSpec* s) { s->clear_steps(); }},
        BadField{"steps 1001 ", [](v1::JobSpec* s) { s->set_steps(1001); }},
        BadField{"shift 0 ", [](v1::JobSpec* s) { s->set_shift(0); }},
        BadField{"shift nan ", [](v1::JobSpec* s) { s->set_shift(std::nan("")); }},
        BadField{"guidance_scale -1 ", [](v1::JobSpec* s) { s->set_guidance_scale(-1); }},
        BadField{"guidance_scale inf ", [](v1::JobSpec* s) { s->set_guidance_scale(INFINITY); }},
        BadField{"cfg_normalization -1 ", [](v1::JobSpec* s) { s->set_cfg_normalization(-1); }},
        BadField{"cfg_truncation -1 ", [](v1::JobSpec* s) { s->set_cfg_truncation(-1); }},
        BadField{"layer 0 ", [](v1::JobSpec* s) { s->set_layer(0); }},
        BadField{"long_prompt_mode: ",
                 [](v1::JobSpec* s) { s->set_long_prompt_mode(static_cast<v1::LongPromptMode>(9)); }},
        BadField{"client has 65 bytes", [](v1::JobSpec* s) { s->set_client(std::string(65, 'x')); }},
        BadField{"priority 101 ", [](v1::JobSpec* s) { s->set_priority(101); }},
        BadField{"priority -101 ", [](v1::JobSpec* s) { s->set_priority(-101); }}));

TEST(SubmissionReader, TakesAPromptAndWritesTheShiftDown) {
  const absl::StatusOr<ValidSubmission> submission = Read({SpecMessage(SampleSpec())});
  ASSERT_TRUE(submission.ok()) << submission.status();
  EXPECT_EQ(submission->spec.shift, SampleFacts().default_shift);
  EXPECT_FALSE(submission->spec.negative);
  EXPECT_FALSE(submission->uploaded.positive);
}

TEST(SubmissionReader, RefusesWhatTheOperatorDoesNotAllow) {
  const std::vector<v1::SubmitRequest> spec = {SpecMessage(SampleSpec())};  // 32x16, 3 steps
  EXPECT_TRUE(Read(spec, {.pixels = 512, .steps = 3, .prompt_tokens = 1}).ok()) << "tokens are not known yet";
  EXPECT_EQ(Read(spec, {.pixels = 511}).status().message(),
            "a picture of 32x16 has 512 pixels; this renderer allows at most 511 (render.max_pixels)");
  EXPECT_EQ(Read(spec, {.steps = 2}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SubmissionReader, RefusesUploadedRowsOfMoreTokensThanAreAllowedAtTheirHeader) {
  std::vector<v1::SubmitRequest> messages = {SpecMessage(SampleSpec())};
  messages.push_back(PositiveMessages(SampleConditioning(5, 1))[0]);
  EXPECT_EQ(Read(messages, {.prompt_tokens = 4}).status().message(),
            "the prompt has 5 tokens; this renderer allows at most 4 (render.max_prompt_tokens)");
  EXPECT_EQ(Read(messages, {.prompt_tokens = 5}).status().code(), absl::StatusCode::kDataLoss) << "the rest is missing";
}

// Dynamic shifting is a static shift for each size; a job states its own in place of it.
TEST(SubmissionReader, WritesTheShiftOfTheSizeDown) {
  RendererFacts facts = SampleFacts();
  facts.max_side = 8192;
  facts.dynamic_shift.emplace();
  const auto shift_of = [&](int32_t width, int32_t height, std::optional<double> stated) {
    v1::JobSpec spec = SampleSpec();
    spec.set_width(width);
    spec.set_height(height);
    if (stated) spec.set_shift(*stated);
    SubmissionReader reader(facts, 1 << 20);
    v1::SubmitRequest request;
    *request.mutable_spec() = spec;
    const absl::Status status = reader.Add(request);
    if (!status.ok()) return std::string(status.message());
    return std::to_string(*reader.Finish()->spec.shift);
  };
  EXPECT_EQ(shift_of(1024, 1024, std::nullopt), std::to_string(std::exp(1.15)));
  EXPECT_EQ(shift_of(256, 256, std::nullopt), std::to_string(std::exp(0.5)));
  EXPECT_EQ(shift_of(256, 256, 3.0), std::to_string(3.0));
  EXPECT_EQ(shift_of(4096, 4096, std::nullopt),
            "the checkpoint's dynamic shifting gives 4096x4096 the shift 103777, which is not a number from 0.001 to "
            "1000; state a shift");
}

TEST(SubmissionReader, AnEmptyPromptIsAPrompt) {
  v1::JobSpec spec = SampleSpec();
  spec.mutable_prompt()->clear_user();
  EXPECT_TRUE(Read({SpecMessage(spec)}).ok());
}

// "Set and empty" is not kept apart from "not set": the encoder would refuse it beside a conversation.
TEST(SubmissionReader, AnEmptySystemTextMayStandBesideAConversation) {
  v1::JobSpec spec = SampleSpec();
  spec.mutable_prompt()->clear_user();
  spec.mutable_prompt()->set_conversation_json("{}");
  spec.mutable_prompt()->set_system("");
  const absl::StatusOr<ValidSubmission> submission = Read({SpecMessage(spec)});
  ASSERT_TRUE(submission.ok()) << submission.status();
  EXPECT_EQ(submission->spec.prompt, PromptParts{.conversation_json = "{}"});
}

TEST(SubmissionReader, KeepsAShiftThatWasAskedFor) {
  v1::JobSpec spec = SampleSpec();
  spec.set_shift(7.5);
  EXPECT_EQ(Read({SpecMessage(spec)})->spec.shift, 7.5);
}

TEST(SubmissionReader, WritesTheEmptyNegativePromptDownWhereGuidanceUsesIt) {
  v1::JobSpec spec = SampleSpec();
  spec.set_guidance_scale(2);
  const absl::StatusOr<ValidSubmission> submission = Read({SpecMessage(spec)});
  ASSERT_TRUE(submission.ok()) << submission.status();
  EXPECT_EQ(submission->spec.negative, PromptParts());
}

TEST(SubmissionReader, TakesUploadedConditioningWithoutAPrompt) {
  v1::JobSpec spec = SampleSpec();
  spec.clear_prompt();
  spec.set_guidance_scale(2);
  const Conditioning positive = SampleConditioning(5, 1), negative = SampleConditioning(3, 2);
  const absl::StatusOr<ValidSubmission> submission =
      Read(Joined(Joined({SpecMessage(spec)}, PositiveMessages(positive)), NegativeMessages(negative)));
  ASSERT_TRUE(submission.ok()) << submission.status();
  EXPECT_EQ(submission->uploaded.positive->header, positive.header);
  EXPECT_EQ(submission->uploaded.positive->bytes, positive.bytes);
  EXPECT_EQ(submission->uploaded.negative->bytes, negative.bytes);
  EXPECT_FALSE(submission->spec.negative);  // nobody said what it is of
}

TEST(SubmissionReader, GuidanceNeedsTheNegativeConditioningToo) {
  v1::JobSpec spec = SampleSpec();
  spec.set_guidance_scale(2);
  const absl::Status status = Read(Joined({SpecMessage(spec)}, PositiveMessages(SampleConditioning(5, 1)))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("upload negative_conditioning too"), std::string::npos) << status;
}

TEST(SubmissionReader, RefusesMessagesOutOfPlace) {
  const v1::SubmitRequest spec = SpecMessage(SampleSpec());
  const std::vector<v1::SubmitRequest> positive = PositiveMessages(SampleConditioning(5, 1));
  const std::vector<v1::SubmitRequest> negative = NegativeMessages(SampleConditioning(5, 1));
  EXPECT_EQ(Read({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Read(positive).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Read({v1::SubmitRequest()}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Read({spec, spec}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Read(Joined({spec}, negative)).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Read({spec, positive.front(), negative.front()}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Read(Joined(Joined(Joined({spec}, positive), negative), positive)).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Read(Joined(Joined({spec}, positive), positive)).status().code(), absl::StatusCode::kDataLoss);
}

TEST(SubmissionReader, RefusesEveryBrokenStream) {
  const v1::SubmitRequest spec = SpecMessage(SampleSpec());
  const std::vector<v1::SubmitRequest> whole = PositiveMessages(SampleConditioning(5, 1));
  ASSERT_EQ(whole.size(), 3u);  // header, one chunk, trailer
  const auto broken = [&](const std::vector<v1::SubmitRequest>& messages) {
    return Read(Joined({spec}, messages)).status().code() == absl::StatusCode::kDataLoss;
  };
  EXPECT_TRUE(broken({whole[0], whole[1]})) << "no trailer";
  EXPECT_TRUE(broken({whole[0], whole[2]})) << "no bytes";
  EXPECT_TRUE(broken({whole[1], whole[2]})) << "no header";
  EXPECT_TRUE(broken({whole[0], whole[0], whole[1], whole[2]})) << "two headers";
  EXPECT_TRUE(broken({whole[0], whole[1], whole[1], whole[2]})) << "a chunk twice";
  EXPECT_TRUE(broken({whole[0], whole[1], whole[2], whole[1]})) << "a chunk after the trailer";
  std::vector<v1::SubmitRequest> changed = whole;
  changed[1].mutable_conditioning()->mutable_chunk()->mutable_data()->at(0) ^= 1;
  EXPECT_TRUE(broken(changed)) << "a flipped bit";
  changed = whole;
  changed[1].mutable_conditioning()->mutable_chunk()->set_offset(1);
  EXPECT_TRUE(broken(changed)) << "a wrong offset";
  changed = whole;
  changed[2].mutable_conditioning()->mutable_trailer()->set_byte_count(1);
  EXPECT_TRUE(broken(changed)) << "a wrong byte count";
}

TEST(SubmissionReader, RefusesConditioningOfAnotherModelAtItsHeader) {
  const RendererFacts facts = SampleFacts();
  Conditioning wide = SampleConditioning(5, 1);
  wide.header.width = 12;
  wide.bytes.assign(wide.header.ByteCount(), 0);
  SubmissionReader reader(facts, kPromptByteLimit);
  ASSERT_TRUE(reader.Add(SpecMessage(SampleSpec())).ok());
  const absl::Status width = reader.Add(PositiveMessages(wide).front());
  EXPECT_EQ(width.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(width.message().find("12"), std::string::npos) << width;
  EXPECT_NE(width.message().find(std::to_string(facts.cap_feat_dim)), std::string::npos) << width;
}

TEST(SubmissionReader, TakesMoreRowsThanTheTransformerDoes) {  // they are shortened when the picture is painted
  const RendererFacts facts = SampleFacts();
  SubmissionReader reader(facts, kPromptByteLimit);
  ASSERT_TRUE(reader.Add(SpecMessage(SampleSpec())).ok());
  EXPECT_TRUE(reader.Add(PositiveMessages(SampleConditioning(facts.row_limit + 1, 1)).front()).ok());
}

TEST(SubmissionReader, RefusesUploadedConditioningThatNamesNoLayer) {
  Conditioning block = SampleConditioning(5, 1);
  block.header.layer = 0;
  const absl::Status status = Read(Joined({SpecMessage(SampleSpec())}, PositiveMessages(block))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("layer 0"), std::string::npos) << status;
}

}  // namespace
}  // namespace diptych
