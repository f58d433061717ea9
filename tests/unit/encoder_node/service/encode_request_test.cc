#include "encoder_node/service/encode_request.h"

#include <functional>

#include "gtest/gtest.h"

namespace diptych {
namespace {

constexpr int64_t kByteLimit = 100;

EncoderFacts Facts() {
  EncoderFacts facts;
  facts.model_fingerprint = std::string(64, 'a');
  facts.width = 48;
  facts.layers = 4;
  return facts;
}

v1::EncodeRequest Request(const std::string& user) {
  v1::EncodeRequest request;
  request.mutable_prompt()->set_user(user);
  return request;
}

absl::StatusOr<ValidEncodeRequest> Validate(const v1::EncodeRequest& request) {
  return ValidateEncodeRequest(request, Facts(), kByteLimit);
}

void ExpectRefused(const std::function<void(v1::EncodeRequest*)>& change, const std::string& reason,
                   absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  v1::EncodeRequest request = Request("a cat");
  change(&request);
  const absl::Status status = Validate(request).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_NE(std::string(status.message()).find(reason), std::string::npos) << status;
  EXPECT_EQ(std::string(status.message()).find('\n'), std::string::npos) << "one line";
}

TEST(EncodeRequest, FormatsThePromptAndFillsInTheDefaults) {
  const absl::StatusOr<ValidEncodeRequest> valid = Validate(Request("a cat"));
  ASSERT_TRUE(valid.ok()) << valid.status();
  EXPECT_EQ(valid->input.text, "<|im_start|>user\na cat<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(valid->parameters.layer, -2);
  EXPECT_EQ(valid->parameters.long_prompt_mode, LongPromptMode::kInterpolate);
  EXPECT_EQ(valid->parameters.row_limit, 0);
}

TEST(EncodeRequest, TakesWhatTheClientAsksFor) {
  v1::EncodeRequest request = Request("a cat");
  request.set_layer(-5);
  request.set_long_prompt_mode(v1::LONG_PROMPT_MODE_POOL);
  request.set_row_limit(1504);
  request.set_token_limit(900);
  request.set_expected_model_fingerprint(std::string(64, 'a'));
  request.mutable_prompt()->set_system("You paint.");
  const absl::StatusOr<ValidEncodeRequest> valid = Validate(request);
  ASSERT_TRUE(valid.ok()) << valid.status();
  EXPECT_NE(valid->input.text.find("<|im_start|>system\nYou paint.<|im_end|>"), std::string::npos);
  EXPECT_EQ(valid->parameters.layer, -5);
  EXPECT_EQ(valid->parameters.long_prompt_mode, LongPromptMode::kPool);
  EXPECT_EQ(valid->parameters.row_limit, 1504);
  EXPECT_EQ(valid->parameters.token_limit, 900);
}

TEST(EncodeRequest, TheEmptyPromptIsValid) { EXPECT_TRUE(Validate(Request("")).ok()); }

TEST(EncodeRequest, AConversationTakesThePlaceOfTheParts) {
  v1::EncodeRequest request;
  request.mutable_prompt()->set_conversation_json(
      R"({"messages":[{"role":"user","content":"a dog"},{"role":"assistant","content":""}]})");
  const absl::StatusOr<ValidEncodeRequest> valid = Validate(request);
  ASSERT_TRUE(valid.ok()) << valid.status();
  EXPECT_EQ(valid->input.text, "<|im_start|>user\na dog<|im_end|>\n<|im_start|>assistant\n");
}

TEST(EncodeRequest, RefusesAMissingPrompt) {
  ExpectRefused([](auto* r) { r->clear_prompt(); }, "prompt is not set");
}

TEST(EncodeRequest, CountsAllPartsAgainstTheLimit) {
  EXPECT_TRUE(Validate(Request(std::string(kByteLimit, 'x'))).ok());
  ExpectRefused([](auto* r) { r->mutable_prompt()->set_user(std::string(101, 'x')); }, "101 bytes");
  ExpectRefused(
      [](auto* r) {
        r->mutable_prompt()->set_user(std::string(51, 'x'));
        r->mutable_prompt()->set_system(std::string(50, 'x'));
      },
      "prompt has 101 bytes, the limit is 100");
  ExpectRefused(
      [](auto* r) {
        r->clear_prompt();
        r->mutable_prompt()->set_conversation_json(std::string(101, ' '));
      },
      "101 bytes");
}

TEST(EncodeRequest, NamesTheOffsetOfTheFirstByteThatIsNotUtf8) {
  ExpectRefused([](auto* r) { r->mutable_prompt()->set_user("abc\xff"); },
                "prompt.user is not valid UTF-8: byte 0xFF at offset 3");
  ExpectRefused(
      [](auto* r) {
        r->clear_prompt();
        r->mutable_prompt()->set_conversation_json("{\"\xff\"}");
      },
      "prompt.conversation_json is not valid UTF-8: byte 0xFF at offset 2");
}

TEST(EncodeRequest, RefusesAConversationThatIsNoJson) {
  ExpectRefused(
      [](auto* r) {
        r->clear_prompt();
        r->mutable_prompt()->set_conversation_json("[oops");
      },
      "");
}

TEST(EncodeRequest, RefusesAConversationBesideParts) {
  ExpectRefused([](auto* r) { r->mutable_prompt()->set_conversation_json("{}"); },
                "the other fields of prompt must then be unset");
}

TEST(EncodeRequest, RefusesATemplate) {
  ExpectRefused([](auto* r) { r->mutable_prompt()->set_template_name("photo"); }, "prompt: template_name is reserved");
}

TEST(EncodeRequest, RefusesALayerThatTheModelHasNot) {
  for (const int layer : {0, 1, -6, -1000}) {
    ExpectRefused([&](auto* r) { r->set_layer(layer); }, "layer " + std::to_string(layer) + " is not from -5 to -1");
  }
  for (const int layer : {-1, -5}) {
    v1::EncodeRequest request = Request("a cat");
    request.set_layer(layer);
    EXPECT_TRUE(Validate(request).ok()) << layer;
  }
}

TEST(EncodeRequest, RefusesANegativeRowLimitAndAnUnknownMode) {
  ExpectRefused([](auto* r) { r->set_row_limit(-1); }, "row_limit -1 is negative");
  ExpectRefused([](auto* r) { r->set_token_limit(-1); }, "token_limit -1 is negative");
  ExpectRefused([](auto* r) { r->set_long_prompt_mode(static_cast<v1::LongPromptMode>(77)); }, "mode number 77");
}

TEST(EncodeRequest, RefusesToStandInForAnotherModelAndNamesBoth) {
  const std::string other(64, 'b');
  ExpectRefused([&](auto* r) { r->set_expected_model_fingerprint(other); }, other,
                absl::StatusCode::kFailedPrecondition);
  ExpectRefused([&](auto* r) { r->set_expected_model_fingerprint(other); }, Facts().model_fingerprint,
                absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace diptych
