#include "common/wire/encode_stream.h"

#include <functional>
#include <string>
#include <vector>

#include "common/digest/sha256.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

const std::string kAsked = "<|im_start|>user\na cat<|im_end|>\n<|im_start|>assistant\n";

EncodeExpectation Expected() { return {.input = {.text = kAsked}, .row_limit = 8, .width = 4}; }

Conditioning Block(int64_t rows = 8, int64_t tokens = 20) {
  Conditioning block;
  block.header = {.model_fingerprint = std::string(64, 'a'),
                  .tokenizer_fingerprint = std::string(64, 'b'),
                  .input_sha256 = Sha256Hex(kAsked),
                  .token_count = tokens,
                  .layer = -2,
                  .rows = rows,
                  .width = 4};
  block.bytes.assign(static_cast<size_t>(block.header.ByteCount()), 7);
  return block;
}

std::vector<v1::EncodeResponse> Answer(const Conditioning& block = Block()) {
  std::vector<v1::EncodeResponse> answer(1);
  answer[0].mutable_info()->set_formatted_text(kAsked);
  EXPECT_TRUE(SendConditioning(block, [&](const v1::ConditioningFrame& frame) {
                *answer.emplace_back().mutable_frame() = frame;
                return true;
              }).ok());
  return answer;
}

// The first error of the stream.
absl::Status Read(const std::vector<v1::EncodeResponse>& answer, const EncodeExpectation& expected = Expected()) {
  EncodeStream stream(expected);
  for (const v1::EncodeResponse& response : answer) {
    if (absl::Status added = stream.Add(response); !added.ok()) return added;
  }
  return stream.Finish().status();
}

absl::Status ReadHeader(const std::function<void(v1::ConditioningHeader*)>& change,
                        const EncodeExpectation& expected = Expected()) {
  std::vector<v1::EncodeResponse> answer = Answer();
  change(answer[1].mutable_frame()->mutable_header());
  return Read(answer, expected);
}

void ExpectStatus(const absl::Status& status, absl::StatusCode code, const std::string& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_NE(std::string(status.message()).find(text), std::string::npos) << status;
}

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kPrecondition = absl::StatusCode::kFailedPrecondition;

TEST(EncodeStream, TakesWhatWasAskedFor) {
  EXPECT_TRUE(Read(Answer()).ok()) << Read(Answer());
  EXPECT_TRUE(Read(Answer(Block(5, 5))).ok()) << "a short prompt has a row a token";
}

// Another text with its own right hash: the rows would be kept for a prompt that they are not of.
TEST(EncodeStream, RefusesAnotherTextHoweverConsistentItIs) {
  std::vector<v1::EncodeResponse> answer = Answer();
  answer[0].mutable_info()->set_formatted_text("another text");
  answer[1].mutable_frame()->mutable_header()->set_text_sha256(Sha256Hex("another text"));
  ExpectStatus(Read(answer), kDataLoss, "it is of another text, 12 bytes long, where 55 were asked for");
  ExpectStatus(ReadHeader([](auto* h) { h->set_text_sha256(Sha256Hex("another text")); }), kDataLoss,
               "hash of another text");
  ExpectStatus(ReadHeader([](auto* h) { h->clear_text_sha256(); }), kDataLoss, "hash of another text");
}

TEST(EncodeStream, RefusesCountsThatThePromptCannotHave) {
  ExpectStatus(ReadHeader([](auto* h) { h->set_token_count(7); }), kDataLoss, "8 rows of 7 tokens");
  ExpectStatus(ReadHeader([](auto* h) { h->set_token_count(INT64_MAX); }), kDataLoss, "token_count");
  ExpectStatus(ReadHeader([](auto* h) { h->set_token_count(166); }), kDataLoss, "166 tokens of a text of 55 bytes");
  ExpectStatus(ReadHeader([](auto* h) { h->set_rows(7); }), kDataLoss, "7 rows where 20 tokens give 8");
  ExpectStatus(ReadHeader([](auto* h) { h->set_rows(9); }), kPrecondition, "9 rows, asked for were at most 8");
  EncodeExpectation expected = Expected();
  expected.token_limit = 19;
  ExpectStatus(ReadHeader([](auto*) {}, expected), kDataLoss, "more than 19 were to be refused");
  expected = Expected();
  expected.row_limit = 0;
  ExpectStatus(ReadHeader([](auto*) {}, expected), kDataLoss, "8 rows where 20 tokens give 20");
}

TEST(EncodeStream, RefusesAnotherLayerModeOrWidth) {
  ExpectStatus(ReadHeader([](auto* h) { h->set_layer(-1); }), kPrecondition, "it sent layer -1, asked for was -2");
  ExpectStatus(ReadHeader([](auto* h) { h->set_long_prompt_mode(v1::LONG_PROMPT_MODE_POOL); }), kPrecondition,
               "it sent LONG_PROMPT_MODE_POOL");
  ExpectStatus(ReadHeader([](auto* h) { h->set_width(8); }), kPrecondition, "8 wide");
}

TEST(EncodeStream, ProgressMayComeBeforeTheInfoAlone) {
  v1::EncodeResponse progress;
  progress.mutable_progress()->set_ahead(3);
  std::vector<v1::EncodeResponse> answer = Answer();
  answer.insert(answer.begin(), 5, progress);
  EXPECT_TRUE(Read(answer).ok());
  answer.push_back(progress);
  ExpectStatus(Read(answer), kDataLoss, "progress after the info");
}

v1::DescribeEncoderResponse Description() {
  v1::DescribeEncoderResponse said;
  said.set_program_version("1.2.3");
  said.set_model_fingerprint(std::string(64, 'a'));
  said.set_tokenizer_fingerprint(std::string(64, '0'));
  said.set_width(2560);
  said.set_layers(36);
  said.set_dtype(v1::STATE_DTYPE_BFLOAT16);
  said.set_threads(8);
  said.set_device("cpu");
  said.set_prompt_byte_limit(1'048'576);
  return said;
}

TEST(EncoderDescription, IsTakenWithinItsBoundsAlone) {
  EXPECT_TRUE(CheckDescription(Description()).ok());
  using Change = std::function<void(v1::DescribeEncoderResponse*)>;
  const std::pair<std::string, Change> changes[] = {
      {"model_fingerprint of 3000000 bytes", [](auto* d) { d->set_model_fingerprint(std::string(3'000'000, 'f')); }},
      {"model_fingerprint of 0 bytes", [](auto* d) { d->clear_model_fingerprint(); }},
      {"model_fingerprint of 64 bytes", [](auto* d) { d->set_model_fingerprint(std::string(63, 'a') + "\x1b"); }},
      {"model_fingerprint of 64 bytes", [](auto* d) { d->set_model_fingerprint(std::string(64, 'A')); }},
      {"tokenizer_fingerprint of 1 bytes", [](auto* d) { d->set_tokenizer_fingerprint("t"); }},
      {"number format", [](auto* d) { d->clear_dtype(); }},
      {"number format", [](auto* d) { d->set_dtype(static_cast<v1::StateDtype>(77)); }},
      {"width 0", [](auto* d) { d->set_width(0); }},
      {"width -1", [](auto* d) { d->set_width(-1); }},
      {"width 65537", [](auto* d) { d->set_width(65'537); }},
      {"layers -1", [](auto* d) { d->set_layers(-1); }},
      {"layers 2147483647", [](auto* d) { d->set_layers(INT32_MAX); }},
      {"threads -1", [](auto* d) { d->set_threads(-1); }},
      {"prompt_byte_limit -1", [](auto* d) { d->set_prompt_byte_limit(-1); }},
      {"program_version has 201 bytes", [](auto* d) { d->set_program_version(std::string(201, 'v')); }},
      {"device has 201 bytes", [](auto* d) { d->set_device(std::string(201, 'v')); }},
      {"machine.gpu has 201 bytes", [](auto* d) { d->mutable_machine()->set_gpu(std::string(201, 'v')); }},
      {"machine.blas has 201 bytes", [](auto* d) { d->mutable_machine()->set_blas(std::string(201, 'v')); }},
  };
  for (const auto& [text, change] : changes) {
    v1::DescribeEncoderResponse said = Description();
    change(&said);
    const absl::Status status = CheckDescription(said);
    ExpectStatus(status, kPrecondition, text);
    EXPECT_LT(status.message().size(), 200u);
  }
}

}  // namespace
}  // namespace diptych
