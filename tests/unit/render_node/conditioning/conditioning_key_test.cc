#include "render_node/conditioning/conditioning_key.h"

#include <set>
#include <string>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "common/prompt/chat_formatter.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

FetchRequest Request() {
  FetchRequest request;
  request.prompt.user = "a cat";
  request.row_limit = 1504;
  return request;
}

EncoderIdentity Identity() { return {std::string(64, 'a'), std::string(64, 'b'), StateDtype::kBFloat16}; }

TEST(ConditioningKey, DiffersInEverythingThatDecidesTheValues) {
  std::set<std::string> keys = {ConditioningKey(Request(), Identity())};
  const auto add = [&](const FetchRequest& request, const EncoderIdentity& identity) {
    const std::string key = ConditioningKey(request, identity);
    EXPECT_EQ(key.size(), 64u);
    EXPECT_EQ(key.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_TRUE(keys.insert(key).second) << "key " << keys.size() << " is not new";
  };
  EncoderIdentity identity = Identity();
  identity.model_fingerprint = std::string(64, 'c');
  add(Request(), identity);
  identity = Identity();
  identity.tokenizer_fingerprint = std::string(64, 'c');
  add(Request(), identity);
  identity = Identity();
  identity.dtype = StateDtype::kFloat32;
  add(Request(), identity);
  std::swap(identity.model_fingerprint, identity.tokenizer_fingerprint);
  add(Request(), identity);
  FetchRequest request = Request();
  request.prompt.user = "a dog";
  add(request, Identity());
  request = Request();
  request.prompt.force_think_block = true;
  add(request, Identity());
  request = Request();
  request.layer = -1;
  add(request, Identity());
  request = Request();
  request.row_limit = 1472;
  add(request, Identity());
  for (const LongPromptMode mode : {LongPromptMode::kTruncate, LongPromptMode::kPool, LongPromptMode::kAttentionPool}) {
    request = Request();
    request.long_prompt_mode = mode;
    add(request, Identity());
  }
}

TEST(ConditioningKey, IsOfTheTextAndNotOfThePartsOrTheJob) {
  FetchRequest request = Request();
  request.job_id = "another job";
  request.prompt.user = "  a cat ";  // cleaning removes the spaces
  EXPECT_EQ(ConditioningKey(request, Identity()), ConditioningKey(Request(), Identity()));
  FetchRequest conversation = Request();
  conversation.prompt = {};
  conversation.prompt.conversation_json = R"({"messages":[{"role":"user","content":"a cat"},)"
                                          R"({"role":"assistant","content":""}]})";
  ASSERT_EQ(FormatPrompt(conversation.prompt), FormatPrompt(Request().prompt));
  EXPECT_EQ(ConditioningKey(conversation, Identity()), ConditioningKey(Request(), Identity()));
}

// The files in a state folder have these names: another key finds nothing that was stored.
TEST(ConditioningKey, IsWhatEarlierVersionsFiledTheSameUnder) {
  EXPECT_EQ(ConditioningKey(Request(), Identity()), "44da90781fc8c1c8422e23f5143d999918a90b397a1944d0373bd11b3d6f1128");
}

TEST(ConditioningKey, OfWhatCameIsThatOfWhatWasAskedFor) {
  ConditioningHeader header;
  header.model_fingerprint = Identity().model_fingerprint;
  header.tokenizer_fingerprint = Identity().tokenizer_fingerprint;
  header.input_sha256 = Sha256Hex(FormatPrompt(Request().prompt));
  header.token_count = header.rows = 9;
  header.width = 48;
  EXPECT_EQ(IdentityOf(header), Identity());
  EXPECT_EQ(ConditioningKey(header, 1504), ConditioningKey(Request(), Identity()));
  EXPECT_NE(ConditioningKey(header, 1505), ConditioningKey(Request(), Identity()));
  header.input_sha256 = Sha256Hex("another text");
  EXPECT_NE(ConditioningKey(header, 1504), ConditioningKey(Request(), Identity()));
}

TEST(ConditioningKey, RefusesAPromptThatHasNoText) {
  FetchRequest request = Request();
  request.prompt.user = "\xff";
  EXPECT_THROW(ConditioningKey(request, Identity()), Error);
}

TEST(IdentityDifference, NamesBothSides) {
  EXPECT_EQ(IdentityDifference(Identity(), Identity()), "");
  EncoderIdentity other = Identity();
  other.dtype = StateDtype::kFloat32;
  EXPECT_EQ(IdentityDifference(other, Identity()), "its number format is float32, this pool's is bfloat16");
  other.tokenizer_fingerprint.clear();
  EXPECT_EQ(IdentityDifference(other, Identity()), "its tokenizer is not stated, this pool's is bbbbbbbbbbbb");
  other.model_fingerprint = "0123456789abcdef";
  EXPECT_EQ(IdentityDifference(other, Identity()), "its model is 0123456789ab, this pool's is aaaaaaaaaaaa");
}

}  // namespace
}  // namespace diptych
