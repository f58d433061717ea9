// The clients against servers in this process.
#include <grpcpp/server_builder.h>

#include <atomic>
#include <thread>

#include "coordinator/client/encoder_client.h"
#include "coordinator/client/render_client.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/fake_renderer.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

// Streams one block of two rows, or less of it.
class FakeEncoder final : public v1::Encoder::Service {
 public:
  FakeEncoder() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address = "127.0.0.1:" + std::to_string(port);
  }
  grpc::Status Encode(grpc::ServerContext*, const v1::EncodeRequest* request,
                      grpc::ServerWriter<v1::EncodeResponse>* writer) override {
    heard = *request;
    v1::EncodeResponse response;
    response.mutable_info()->set_formatted_text("text");
    response.mutable_info()->set_encode_ms(7);
    writer->Write(response);
    Conditioning conditioning;
    conditioning.header.rows = 2;
    conditioning.header.width = 2;
    conditioning.bytes = {1, 2, 3, 4, 5, 6, 7, 8};
    int frames = 0;
    (void)SendConditioning(conditioning, [&](const v1::ConditioningFrame& frame) {
      if (++frames > frames_sent) return true;
      *response.mutable_frame() = frame;
      return writer->Write(response);
    });
    return grpc::Status::OK;
  }

  std::string address;
  std::atomic<int> frames_sent = 1000;  // atomic: ThreadSanitizer cannot see that gRPC orders test and handler
  v1::EncodeRequest heard;

 private:
  std::unique_ptr<grpc::Server> server_;
};

std::unique_ptr<RenderClient> ClientOf(const FakeRenderer& renderer) {
  return RenderClient::Make(renderer.address, false, milliseconds(5000)).value();
}

PictureRequest SmallPicture() {
  PictureRequest request;
  request.prompt = PromptParts{};
  request.prompt->user = "a cat";
  request.width = request.height = 16;
  request.steps = 3;
  return request;
}

TEST(RenderClient, SubmitsEveryFieldOfARequest) {
  FakeRenderer renderer;
  PictureRequest request = SmallPicture();
  request.negative = PromptParts{};
  request.negative->user = "blur";
  request.seed = 77;
  request.shift = 2.5;
  request.guidance_scale = 4;
  request.cfg_normalization = 1;
  request.cfg_truncation = 0.5;
  request.layer = -3;
  request.long_prompt_mode = LongPromptMode::kPool;
  request.client = "me";
  request.priority = -4;
  ASSERT_TRUE(ClientOf(renderer)->Submit(request).ok());
  const v1::JobSpec spec = renderer.specs().at(0);
  EXPECT_EQ(spec.prompt().user(), "a cat");
  EXPECT_EQ(spec.negative().user(), "blur");
  EXPECT_EQ(spec.width(), 16);
  EXPECT_EQ(spec.steps(), 3);
  EXPECT_EQ(spec.seed(), 77u);
  EXPECT_EQ(spec.shift(), 2.5);
  EXPECT_EQ(spec.guidance_scale(), 4);
  EXPECT_EQ(spec.cfg_normalization(), 1);
  EXPECT_EQ(spec.cfg_truncation(), 0.5);
  EXPECT_EQ(spec.layer(), -3);
  EXPECT_EQ(spec.long_prompt_mode(), v1::LONG_PROMPT_MODE_POOL);
  EXPECT_EQ(spec.client(), "me");
  EXPECT_EQ(spec.priority(), -4);
}

TEST(RenderClient, UploadsBothConditioningStreams) {
  FakeRenderer renderer;
  Conditioning conditioning;
  conditioning.header.rows = 2;
  conditioning.header.width = 2;
  conditioning.bytes = {1, 2, 3, 4, 5, 6, 7, 8};
  PictureRequest request = SmallPicture();
  request.conditioning = std::make_shared<const Conditioning>(conditioning);
  Conditioning negative = conditioning;
  negative.bytes[0] = 9;
  request.negative_conditioning = std::make_shared<const Conditioning>(negative);
  const auto submission = ClientOf(renderer)->Submit(request);
  ASSERT_TRUE(submission.ok()) << submission.status();
  EXPECT_EQ(renderer.uploaded_hash(submission->id), ConditioningHash(conditioning));
  EXPECT_EQ(renderer.negative_bytes(), negative.bytes);
}

TEST(RenderClient, RefusesToUploadAnInconsistentBlock) {
  FakeRenderer renderer;
  PictureRequest request = SmallPicture();
  auto conditioning = std::make_shared<Conditioning>();
  conditioning->header.rows = conditioning->header.width = 2;
  request.conditioning = conditioning;
  EXPECT_EQ(ClientOf(renderer)->Submit(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RenderClient, ReportsEveryStepAndReturnsThePicture) {
  FakeRenderer renderer;
  const auto client = ClientOf(renderer);
  const std::string id = client->Submit(SmallPicture())->id;
  std::vector<int> steps;
  const auto result = client->Watch(
      id, {.want_picture = true}, [&](const JobView& job) { steps.push_back(job.step); }, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(steps, (std::vector<int>{0, 1, 2, 3, 3}));
  EXPECT_EQ(DecodePng(result->png).picture.width, 16);
  EXPECT_EQ(result->job.timings.total_ms, 1234);
}

TEST(RenderClient, AsksForPreviewsOnlyWhenTheyAreWanted) {
  FakeRenderer renderer;
  const auto client = ClientOf(renderer);
  const std::string id = client->Submit(SmallPicture())->id;
  std::vector<std::string> previews;
  const auto note = [&](int32_t step, const std::string& jpeg) { previews.push_back(std::to_string(step) + jpeg); };
  ASSERT_TRUE(client
                  ->Watch(
                      id, {.on_preview = note}, [](const JobView&) {}, nullptr)
                  .ok());
  EXPECT_EQ(previews, (std::vector<std::string>{"1\xFF\xD8\xFFjpeg", "2\xFF\xD8\xFFjpeg", "3\xFF\xD8\xFFjpeg"}));
  previews.clear();
  ASSERT_TRUE(client
                  ->Watch(
                      id, {}, [](const JobView&) {}, nullptr)
                  .ok());
  EXPECT_EQ(previews.size(), 0u);
}

TEST(RenderClient, SaysWhatItHasSeenOfAJob) {
  FakeRenderer renderer;
  const auto client = ClientOf(renderer);
  const std::string id = client->Submit(SmallPicture())->id;
  JobView seen;
  ASSERT_TRUE(client
                  ->Watch(
                      id, {}, [&](const JobView& job) { seen = job; }, nullptr)
                  .ok());
  EXPECT_GT(seen.sequence, 0);
  ASSERT_TRUE(client
                  ->Watch(
                      id, {.last_seen = &seen}, [](const JobView&) {}, nullptr)
                  .ok());
  EXPECT_EQ(renderer.after_sequences(), (std::vector<int64_t>{0, seen.sequence}));
}

TEST(RenderClient, RefusesAPictureWithAnotherChecksum) {
  FakeRenderer renderer;
  renderer.damage_picture = true;
  const auto client = ClientOf(renderer);
  const std::string id = client->Submit(SmallPicture())->id;
  EXPECT_EQ(client
                ->Watch(
                    id, {.want_picture = true}, [](const JobView&) {}, nullptr)
                .status()
                .code(),
            absl::StatusCode::kDataLoss);
}

TEST(RenderClient, PassesOnWhatTheRendererRefuses) {
  FakeRenderer renderer;
  PictureRequest request = SmallPicture();
  request.steps = 13;
  const absl::Status status = ClientOf(renderer)->Submit(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "steps must not be 13");
}

TEST(RenderClient, StopEndsAWatchFromAnotherThread) {
  FakeRenderer renderer;
  renderer.hang = true;
  const auto client = ClientOf(renderer);
  const std::string id = client->Submit(SmallPicture())->id;
  CallStop stop;
  std::thread stopper;
  const auto result = client->Watch(
      id, {.want_picture = true},
      [&](const JobView&) {
        if (!stopper.joinable()) stopper = std::thread([&] { stop.Stop(); });
      },
      &stop);
  stopper.join();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
}

TEST(RenderClient, NamesTheAddressWhenNobodyIsThere) {
  const auto client = RenderClient::Make("127.0.0.1:1", false, milliseconds(2000)).value();
  const absl::Status status = client->Describe().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_NE(std::string(status.message()).find("the renderer at 127.0.0.1:1"), std::string::npos) << status;
}

TEST(RenderClient, RefusesToLeaveTheMachineInPlainText) {
  EXPECT_FALSE(RenderClient::Make("192.0.2.1:7", false, milliseconds(1)).ok());
  EXPECT_TRUE(RenderClient::Make("192.0.2.1:7", true, milliseconds(1)).ok());
  EXPECT_FALSE(RenderClient::Make("nonsense", false, milliseconds(1)).ok());
}

TEST(EncoderClient, ReturnsTheBlockThatWasStreamed) {
  FakeEncoder encoder;
  const auto client = EncoderClient::Make(encoder.address, false, milliseconds(5000)).value();
  EncodeOrder order;
  order.prompt.user = "hi";
  order.layer = -4;
  order.row_limit = 32;
  order.long_prompt_mode = LongPromptMode::kTruncate;
  const auto outcome = client->Encode(order, nullptr);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->conditioning.bytes, (std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(outcome->formatted_text, "text");
  EXPECT_EQ(outcome->encode_ms, 7);
  EXPECT_EQ(encoder.heard.layer(), -4);
  EXPECT_EQ(encoder.heard.row_limit(), 32);
  EXPECT_EQ(encoder.heard.long_prompt_mode(), v1::LONG_PROMPT_MODE_TRUNCATE);
}

TEST(EncoderClient, RefusesAStreamThatEndsEarly) {
  FakeEncoder encoder;
  encoder.frames_sent = 2;  // header and chunk, no trailer
  const auto client = EncoderClient::Make(encoder.address, false, milliseconds(5000)).value();
  EXPECT_EQ(client->Encode({}, nullptr).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace diptych
