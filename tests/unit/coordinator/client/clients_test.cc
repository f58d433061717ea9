// The clients against servers in this process.
#include <functional>
#include <thread>

#include "common/prompt/chat_formatter.h"
#include "coordinator/client/encoder_client.h"
#include "coordinator/client/render_client.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/support/scripted_encoder.h"
#include "tests/unit/coordinator/support/fake_renderer.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

std::unique_ptr<RenderClient> ClientOf(const FakeRendererService& renderer) {
  return RenderClient::Make(renderer.address, {}, milliseconds(5000)).value();
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
  FakeRendererService renderer;
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
  FakeRendererService renderer;
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
  FakeRendererService renderer;
  PictureRequest request = SmallPicture();
  auto conditioning = std::make_shared<Conditioning>();
  conditioning->header.rows = conditioning->header.width = 2;
  request.conditioning = conditioning;
  EXPECT_EQ(ClientOf(renderer)->Submit(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RenderClient, ReportsEveryStepAndReturnsThePicture) {
  FakeRendererService renderer;
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
  FakeRendererService renderer;
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
  FakeRendererService renderer;
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
  FakeRendererService renderer;
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
  FakeRendererService renderer;
  PictureRequest request = SmallPicture();
  request.steps = 13;
  const absl::Status status = ClientOf(renderer)->Submit(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "steps must not be 13");
}

TEST(RenderClient, StopEndsAWatchFromAnotherThread) {
  FakeRendererService renderer;
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

TEST(RenderClient, KeepsThePromptThatLaterReportsHaveShortened) {
  FakeRendererService renderer;
  const auto client = ClientOf(renderer);
  const std::string id = client->Submit(SmallPicture()).value().id;
  renderer.twist_job = [](v1::Job& job) {
    if (job.step() == 0) return;
    job.mutable_spec()->mutable_prompt()->set_user("a");
    job.set_prompts_shortened(true);
  };
  std::vector<std::string> prompts;
  const auto watched = client->Watch(
      id, {}, [&](const JobView& job) { prompts.push_back(job.prompt); }, nullptr);
  ASSERT_TRUE(watched.ok()) << watched.status();
  EXPECT_EQ(prompts, std::vector<std::string>(5, "a cat"));
  EXPECT_EQ(watched->job.prompt, "a cat");
  EXPECT_FALSE(watched->job.prompts_shortened);
}

TEST(RenderClient, NamesTheAddressWhenNobodyIsThere) {
  const auto client = RenderClient::Make("127.0.0.1:1", {}, milliseconds(2000)).value();
  const absl::Status status = client->Describe().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_NE(std::string(status.message()).find("the renderer at 127.0.0.1:1"), std::string::npos) << status;
}

TEST(RenderClient, RefusesToLeaveTheMachineInPlainText) {
  EXPECT_FALSE(RenderClient::Make("192.0.2.1:7", {}, milliseconds(1)).ok());
  EXPECT_TRUE(RenderClient::Make("192.0.2.1:7", {.insecure = true}, milliseconds(1)).ok());
  EXPECT_FALSE(RenderClient::Make("nonsense", {}, milliseconds(1)).ok());
}

std::unique_ptr<EncoderClient> ClientOf(const Daemon& daemon) {
  return EncoderClient::Make(daemon.address().ToString(), {}, milliseconds(5000)).value();
}

EncodeOrder ShortOrder() {
  EncodeOrder order;
  order.prompt.user = "hi";
  return order;
}

TEST(EncoderClient, ReturnsTheBlockThatWasStreamed) {
  Daemon encoder;
  Conditioning block = Block();
  block.header.layer = -4;
  block.header.long_prompt_mode = LongPromptMode::kTruncate;
  encoder.service.Say(GoodAnswer(block));
  const auto client = ClientOf(encoder);
  EncodeOrder order = ShortOrder();
  order.layer = -4;
  order.row_limit = 32;
  order.long_prompt_mode = LongPromptMode::kTruncate;
  order.encoder = client->Describe().value();
  const auto outcome = client->Encode(order, nullptr);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->conditioning.bytes, block.bytes);
  EXPECT_EQ(outcome->formatted_text, FormatPrompt(order.prompt));
  EXPECT_EQ(outcome->encode_ms, 0.001);
  EXPECT_EQ(encoder.service.last_request().layer(), -4);
  EXPECT_EQ(encoder.service.last_request().row_limit(), 32);
  EXPECT_EQ(encoder.service.last_request().long_prompt_mode(), v1::LONG_PROMPT_MODE_TRUNCATE);
}

TEST(EncoderClient, RefusesWhatIsBrokenOrOfSomethingElse) {
  Daemon encoder;
  const auto client = ClientOf(encoder);
  const EncoderDescription described = client->Describe().value();
  const auto expect = [&](const Answer& answer, absl::StatusCode code, const std::string& piece) {
    encoder.service.Say(answer);
    EncodeOrder order = ShortOrder();
    order.row_limit = 64;
    order.encoder = described;
    const absl::Status status = client->Encode(order, nullptr).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_NE(std::string(status.message()).find(piece), std::string::npos) << status;
    EXPECT_NE(std::string(status.message()).find("the encoder at 127.0.0.1:"), std::string::npos) << status;
  };
  const auto twisted = [](const std::function<void(v1::ConditioningHeader&)>& twist) {
    Answer answer = GoodAnswer();
    twist(*answer[1].mutable_frame()->mutable_header());
    return answer;
  };
  using enum absl::StatusCode;
  Answer cut = GoodAnswer();
  cut.pop_back();  // the trailer
  expect(cut, kDataLoss, "stream");
  Answer damaged = GoodAnswer();
  std::string* bytes = damaged[2].mutable_frame()->mutable_chunk()->mutable_data();
  (*bytes)[7] ^= 1;
  expect(damaged, kDataLoss, "");
  Answer another_text = GoodAnswer();
  another_text[0].mutable_info()->set_formatted_text("another");
  expect(another_text, kDataLoss, "it is of another text");
  Answer endless = GoodAnswer();
  std::string* rows = endless[2].mutable_frame()->mutable_chunk()->mutable_data();
  (*rows)[0] = '\x80', (*rows)[1] = '\x7F';  // infinite
  endless[3].mutable_frame()->mutable_trailer()->set_sha256(Sha256Hex(*rows));
  expect(endless, kDataLoss, "infinite or not a number");
  expect(twisted([](auto& header) { header.set_token_count(3); }), kDataLoss, "20 rows of 3 tokens");
  expect(twisted([](auto& header) { header.set_token_count(1'000'000); }), kDataLoss, "");
  expect(twisted([](auto& header) { header.set_rows(int64_t{1} << 40); }), kDataLoss, "");
  expect(GoodAnswer(Block(20, 32)), kFailedPrecondition, "its hidden states are 32 wide");
  expect(twisted([](auto& header) { header.set_layer(-9); }), kFailedPrecondition, "layer -9");
  expect(GoodAnswer(Block(20, 48, 'e')), kFailedPrecondition, "rows of another model than it says it has");
#ifndef __SANITIZE_THREAD__  // megabytes through an uninstrumented gRPC take minutes there
  Answer huge(1);
  huge[0].mutable_info()->set_formatted_text(std::string(5 << 20, 'x'));
  expect(huge, kDataLoss, "more than 4194304 bytes");
#endif
}

TEST(EncoderClient, BelievesNoDescriptionOutOfBounds) {
  Daemon encoder;
  encoder.service.width = int64_t{1} << 50;
  EXPECT_EQ(ClientOf(encoder)->Describe().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(EncoderClient, AsksAFullEncoderAgainWhenItSays) {
  Daemon encoder;
  encoder.service.retry_after_ms = 60;
  encoder.service.Say({}, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the line is full"));
  std::jthread later([&] {
    while (encoder.service.calls < 3) std::this_thread::sleep_for(milliseconds(1));
    encoder.service.Say(GoodAnswer());
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(ClientOf(encoder)->Encode(ShortOrder(), nullptr).ok());
  later.join();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(2 * 60));

  encoder.service.retry_after_ms = 3'600'000;  // taken as 5 s
  encoder.service.Say({}, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the line is full"));
  CallStop stop;
  std::jthread stops([&] {
    std::this_thread::sleep_for(milliseconds(200));
    stop.Stop();
  });
  EXPECT_EQ(ClientOf(encoder)->Encode(ShortOrder(), &stop).status().code(), absl::StatusCode::kCancelled);

  encoder.service.retry_after_ms = 0;  // memory is short there
  EXPECT_EQ(ClientOf(encoder)->Encode(ShortOrder(), nullptr).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace diptych
