// Jobs that bring their own conditioning, and submissions that break off, over a real connection.
#include "common/conditioning/conditioning_hash.h"
#include "common/image/png.h"
#include "common/receipt/receipt.h"
#include "tests/unit/render_node/service/renderer_in_test.h"

namespace diptych {
namespace {

class UploadTest : public RendererInTest {
 protected:
  UploadTest() { Open(); }

  // Sends the spec and these messages; the job must be refused.
  grpc::Status Refusal(const v1::JobSpec& spec, const std::vector<v1::SubmitRequest>& more) {
    std::vector<v1::SubmitRequest> messages = {SpecMessage(spec)};
    messages.insert(messages.end(), more.begin(), more.end());
    v1::SubmitResponse response;
    const grpc::Status status = RendererInTest::Submit(messages, &response);
    EXPECT_EQ(response.id(), "");
    return status;
  }

  ~UploadTest() override { EXPECT_EQ(source_.requests().size(), expected_fetches_); }

  size_t expected_fetches_ = 0;
};

v1::JobSpec SpecWithoutPrompt() {
  v1::JobSpec spec = SampleSpec();
  spec.clear_prompt();
  return spec;
}

TEST_F(UploadTest, IsPaintedFromWithoutAskingAnEncoder) {
  const Conditioning block = SampleConditioning(5, 42);
  const Watched watched = Watch(Submit(SpecWithoutPrompt(), PositiveMessages(block)), true);
  ASSERT_TRUE(watched.status.ok());
  ASSERT_EQ(watched.last().state(), v1::JOB_STATE_DONE) << watched.last().error();
  const PngFile file = DecodePng(watched.png);
  EXPECT_EQ(file.picture.rgb.front(), 42);
  const Receipt receipt = FindReceipt(file.text);
  EXPECT_FALSE(receipt.prompt);
  EXPECT_EQ(receipt.conditioning_hash, ConditioningHash(block));
}

TEST_F(UploadTest, BothBlocksAreUsedWithGuidance) {
  v1::JobSpec spec = SampleSpec("only a label");
  spec.set_guidance_scale(3);
  std::vector<v1::SubmitRequest> messages = PositiveMessages(SampleConditioning(5, 42));
  const Conditioning negative = SampleConditioning(2, 1);
  for (const v1::SubmitRequest& message : NegativeMessages(negative)) messages.push_back(message);
  const Watched watched = Watch(Submit(spec, messages), true);
  ASSERT_EQ(watched.last().state(), v1::JOB_STATE_DONE) << watched.last().error();
  const PngFile file = DecodePng(watched.png);
  EXPECT_EQ(file.picture.rgb.front(), 142);
  const Receipt receipt = FindReceipt(file.text);
  EXPECT_EQ(receipt.prompt->user, "only a label");
  EXPECT_FALSE(receipt.negative);
  EXPECT_EQ(receipt.negative_conditioning_hash, ConditioningHash(negative));
}

TEST_F(UploadTest, PositiveAloneIsRefusedWithGuidance) {
  v1::JobSpec spec = SpecWithoutPrompt();
  spec.set_guidance_scale(3);
  const grpc::Status status = Refusal(spec, PositiveMessages(SampleConditioning(5, 1)));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("upload negative_conditioning too"), std::string::npos);
}

TEST_F(UploadTest, AnotherWidthIsRefusedNamingBoth) {
  Conditioning wide = SampleConditioning(5, 1);
  wide.header.width = 2560;
  wide.bytes.assign(static_cast<size_t>(wide.header.ByteCount()), 0);
  const grpc::Status status = Refusal(SpecWithoutPrompt(), PositiveMessages(wide));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(status.error_message().find("2560"), std::string::npos) << status.error_message();
  EXPECT_NE(status.error_message().find("rows of 8"), std::string::npos) << status.error_message();
}

TEST_F(UploadTest, BrokenStreamIsRefusedAndTheNextOneWorks) {
  std::vector<v1::SubmitRequest> messages = PositiveMessages(SampleConditioning(5, 1));
  messages[1].mutable_conditioning()->mutable_chunk()->mutable_data()->at(7) ^= 0x10;
  EXPECT_EQ(Refusal(SpecWithoutPrompt(), messages).error_code(), grpc::StatusCode::DATA_LOSS);
  messages.pop_back();
  EXPECT_EQ(Refusal(SpecWithoutPrompt(), messages).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_TRUE(List({}).empty());
  EXPECT_EQ(Watch(Submit(SpecWithoutPrompt(), PositiveMessages(SampleConditioning(5, 1)))).last().state(),
            v1::JOB_STATE_DONE);
}

TEST_F(UploadTest, RefusalComesBeforeTheBytesAreSent) {
  v1::JobSpec spec = SpecWithoutPrompt();
  spec.set_steps(0);
  grpc::ClientContext context;
  v1::SubmitResponse response;
  const auto writer = stub_->Submit(&context, &response);
  writer->Write(SpecMessage(spec));
  // The client is still in the middle of its call.
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("steps 0"), std::string::npos);
}

TEST_F(UploadTest, TextThatIsNotUtf8IsRefusedWithItsFieldAndOffset) {
  const grpc::Status status = Refusal(SampleSpec("tree\xff\xfe"), {});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("prompt.user is not valid UTF-8: byte 0xFF at offset 4"), std::string::npos)
      << status.error_message();
}

TEST_F(UploadTest, ClientThatLeavesInTheMiddleSubmitsNothing) {
  const std::vector<v1::SubmitRequest> messages = PositiveMessages(SampleConditioning(5, 1));
  {
    grpc::ClientContext context;
    v1::SubmitResponse response;
    const auto writer = stub_->Submit(&context, &response);
    writer->Write(SpecMessage(SampleSpec()));
    writer->Write(messages[0]);
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  const std::string id = Submit(SpecWithoutPrompt(), messages);
  EXPECT_EQ(List({}), std::vector<std::string>{id});
}

TEST_F(UploadTest, PromptGoesToTheEncoderAndSoDoesTheEmptyNegativeOne) {
  v1::JobSpec spec = SampleSpec("a lake");
  spec.set_guidance_scale(2);
  spec.set_layer(-3);
  spec.set_long_prompt_mode(v1::LONG_PROMPT_MODE_POOL);
  const Watched watched = Watch(Submit(spec), true);
  ASSERT_EQ(watched.last().state(), v1::JOB_STATE_DONE) << watched.last().error();
  const std::vector<FetchRequest> requests = source_.requests();
  expected_fetches_ = 2;
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].prompt.user, "a lake");
  EXPECT_EQ(requests[1].prompt, PromptParts());
  for (const FetchRequest& request : requests) {
    EXPECT_EQ(request.layer, -3);
    EXPECT_EQ(request.long_prompt_mode, LongPromptMode::kPool);
    EXPECT_EQ(request.row_limit, renderer_.facts().row_limit);
  }
  EXPECT_EQ(FindReceipt(DecodePng(watched.png).text).negative, PromptParts());
}

}  // namespace
}  // namespace diptych
