// What clients may hold of a render service, over a real connection.
#include <grpcpp/create_channel.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "tests/support/cpu_time.h"
#include "tests/support/raw_http2.h"
#include "tests/unit/render_node/service/renderer_in_test.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

v1::SubmitRequest SpecOf(size_t prompt_bytes) {
  v1::SubmitRequest request;
  *request.mutable_spec() = SampleSpec();
  request.mutable_spec()->mutable_prompt()->set_user(std::string(prompt_bytes, 'p'));
  return request;
}

class RoomTest : public RendererInTest {
 protected:
  explicit RoomTest(const RenderRoom& room) : RendererInTest(room) { Open(); }

  // A Submit whose client sends its first message and then nothing.
  struct HalfOpen {
    HalfOpen(v1::Renderer::Stub& stub, size_t prompt_bytes) {
      context.set_deadline(std::chrono::system_clock::now() + seconds(20));
      context.set_wait_for_ready(true);
      writer = stub.Submit(&context, &response);
      writer->Write(SpecOf(prompt_bytes));
    }
    grpc::ClientContext context;
    v1::SubmitResponse response;
    std::unique_ptr<grpc::ClientWriter<v1::SubmitRequest>> writer;
  };
};

class ImpatientTest : public RoomTest {
 protected:
  ImpatientTest() : RoomTest({.submit_message_within = milliseconds(300)}) {}
};

class UntakenTest : public RoomTest {
 protected:
  UntakenTest() : RoomTest({.taken_within = milliseconds(300)}) {}
};

TEST_F(ImpatientTest, ASubmitThatDoesNotGoOnEnds) {
  HalfOpen call(*stub_, 10);
  const grpc::Status status = call.writer->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  EXPECT_NE(status.error_message().find("no message of this Submit came"), std::string::npos) << status.error_message();
  EXPECT_TRUE(store_->Queued().empty());
}

TEST_F(UntakenTest, AWatcherThatTakesNothingIsLetGo) {
  renderer_.HoldBefore(0);
  v1::SubmitResponse response;
  ASSERT_TRUE(Submit({SpecOf(900'000)}, &response).ok());
  RawHttp2 watcher(server_->address());  // opens no window beyond the first 65535 bytes
  v1::WatchRequest request;
  request.set_id(response.id());
  const uint32_t stream = watcher.Call("/diptych.v1.Renderer/Watch", RawHttp2::MessageOf(request.SerializeAsString()));
  bool ended = false;
  for (const RawHttp2::Answer& answer : watcher.Read(seconds(20), stream)) {
    ended = ended ||
            (answer.head.stream == stream && (answer.head.ends_stream() || answer.head.type == Http2Frame::kRstStream));
  }
  EXPECT_TRUE(ended);
  renderer_.LetGo();
}

TEST_F(UntakenTest, AnAnswerThatNobodyTakesIsLetGo) {
  renderer_.HoldBefore(0);
  v1::SubmitResponse response;
  ASSERT_TRUE(RendererInTest::Submit({SpecOf(900'000)}, &response).ok());
  RawHttp2 client(server_->address());
  v1::GetRequest request;
  request.set_id(response.id());
  const uint32_t stream = client.Call("/diptych.v1.Renderer/Get", RawHttp2::MessageOf(request.SerializeAsString()));
  bool ended = false;
  for (const RawHttp2::Answer& answer : client.Read(seconds(20), stream)) {
    ended = ended ||
            (answer.head.stream == stream && (answer.head.ends_stream() || answer.head.type == Http2Frame::kRstStream));
  }
  EXPECT_TRUE(ended);
  renderer_.LetGo();
}

class WatchTest : public RoomTest {
 protected:
  WatchTest() : RoomTest({}) {}
};

// Megabytes through an uninstrumented gRPC take minutes under ThreadSanitizer.
constexpr size_t kLong = kTimeAllowance > 1 ? 50'000 : 900'000;

// A prompt of a megabyte beside each step of each watcher would be most of what the renderer sends.
TEST_F(WatchTest, ReportsAfterTheFirstHaveTheBeginningsOfThePromptsAlone) {
  renderer_.HoldBefore(0);
  v1::SubmitResponse response;
  ASSERT_TRUE(RendererInTest::Submit({SpecOf(kLong)}, &response).ok());
  std::jthread later([&] {
    Await(response.id(), v1::JOB_STATE_RENDERING);
    std::this_thread::sleep_for(milliseconds(100));
    renderer_.LetGo();
  });
  const Watched watched = Watch(response.id());
  ASSERT_GE(watched.jobs.size(), 2u);
  for (size_t i = 0; i < watched.jobs.size(); ++i) {
    const v1::Job& job = watched.jobs[i];
    EXPECT_EQ(job.spec().prompt().user().size(), i == 0 ? kLong : 4096u) << i;
    EXPECT_EQ(job.prompts_shortened(), i != 0) << i;
  }
  EXPECT_EQ(Watch(response.id()).jobs[0].spec().prompt().user().size(), kLong) << "a call of its own";
}

// Calls without end over a connection of their own, while another client asks now and then. Whose turn it is between
// them is CallPool's, where it is tested without a clock; here is what comes of it.
class FloodTest : public RoomTest {
 protected:
  static constexpr size_t kAtOnce = 6;                      // calls of the flood
  static constexpr milliseconds kLasts{3000}, kBetween{5};  // asks in between
  // 2 idle cores give 200 ms with ease (docs/security.md); other tests may run beside this one, and sanitizers.
  static constexpr milliseconds kBound{kTimeAllowance > 1 ? 10'000 : 1000};

  FloodTest() : RoomTest({}) { renderer_.HoldBefore(0); }
  ~FloodTest() override { renderer_.LetGo(); }

  // Time that Get takes, the 99th percentile, while `call` is made again and again.
  milliseconds GetBeside(const std::function<void(v1::Renderer::Stub&)>& call) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const std::unique_ptr<v1::Renderer::Stub> other = v1::Renderer::NewStub(
        grpc::CreateCustomChannel(server_->address().ToString(), grpc::InsecureChannelCredentials(), arguments));
    const std::string id = RendererInTest::Submit(SampleSpec());
    const auto end = std::chrono::steady_clock::now() + kLasts;
    std::vector<std::jthread> flood;
    for (size_t i = 0; i < kAtOnce; ++i) {
      flood.emplace_back([&] {
        for (; std::chrono::steady_clock::now() < end; ++calls_) call(*other);
      });
    }
    std::vector<milliseconds> took;
    while (std::chrono::steady_clock::now() < end) {
      const auto begin = std::chrono::steady_clock::now();
      EXPECT_EQ(Get(id).id(), id);
      took.push_back(std::chrono::ceil<milliseconds>(std::chrono::steady_clock::now() - begin));
      std::this_thread::sleep_for(kBetween);
    }
    flood.clear();
    std::sort(took.begin(), took.end());
    const milliseconds late = took[took.size() * 99 / 100];
    RecordProperty("get_p99_ms", static_cast<int>(late.count()));
    RecordProperty("gets", static_cast<int>(took.size()));
    RecordProperty("flood_calls", calls_.load());
    return late;
  }

  std::atomic<int> calls_ = 0;
};

TEST_F(FloodTest, OfListsHoldsUpNoGet) {
  for (int i = 0; i < 50; ++i) {
    v1::SubmitResponse response;
    ASSERT_TRUE(RendererInTest::Submit({SpecOf(20'000)}, &response).ok());
  }
  EXPECT_LT(GetBeside([](v1::Renderer::Stub& stub) {
              grpc::ClientContext context;
              v1::ListResponse response;
              stub.List(&context, {}, &response);
            }),
            kBound);
  EXPECT_GE(calls_, static_cast<int>(kAtOnce)) << "no flood";
}

TEST_F(FloodTest, OfSubmitsHoldsUpNoGet) {
  EXPECT_LT(GetBeside([](v1::Renderer::Stub& stub) {
              grpc::ClientContext context;
              v1::SubmitResponse response;
              const auto writer = stub.Submit(&context, &response);
              writer->Write(SpecOf(20'000));
              writer->WritesDone();
              writer->Finish();  // accepted, or refused when the queue is full
            }),
            kBound);
  EXPECT_GE(calls_, static_cast<int>(kAtOnce)) << "no flood";
}

class SmallTest : public RoomTest {
 protected:
  SmallTest()
      : RoomTest({.upload_bytes = 100'000, .submits = {.in_all = 3, .per_host = 3}, .watchers = {.per_host = 2}}) {}
};

TEST_F(SmallTest, AnUnfinishedSubmitThatIsSilentGivesWayToOneThatNeedsItsRoom) {
  HalfOpen first(*stub_, 40'000);
  std::this_thread::sleep_for(milliseconds(1100));
  v1::SubmitResponse response;
  const grpc::Status status = Submit({SpecOf(40'000)}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  const grpc::Status gone = first.writer->Finish();
  EXPECT_EQ(gone.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << gone.error_message();
}

TEST_F(SmallTest, AnUnfinishedSubmitThatIsSilentGivesWayToOneMoreCall) {
  HalfOpen first(*stub_, 10), second(*stub_, 10), third(*stub_, 10);
  std::this_thread::sleep_for(milliseconds(1100));
  v1::SubmitResponse response;
  const grpc::Status status = Submit({SpecOf(10)}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(SmallTest, WhatNeverFitsIsRefused) {
  v1::SubmitResponse response;
  const grpc::Status status = Submit({SpecOf(60'000)}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(),
            "a Submit of more than 50000 bytes is not taken; a conditioning of fewer rows would be");
}

TEST_F(SmallTest, AHostHasSoManyWatchersAndNoMore) {
  renderer_.HoldBefore(0);
  const std::string id = RendererInTest::Submit(SampleSpec());
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::WatchResponse>>> readers;
  const auto watch = [&] {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    contexts.back()->set_deadline(std::chrono::system_clock::now() + seconds(20));
    v1::WatchRequest request;
    request.set_id(id);
    readers.push_back(stub_->Watch(contexts.back().get(), request));
    v1::WatchResponse response;
    return readers.back()->Read(&response);
  };
  EXPECT_TRUE(watch());
  EXPECT_TRUE(watch());
  EXPECT_FALSE(watch());
  EXPECT_EQ(readers.back()->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  contexts.front()->TryCancel();
  readers.front()->Finish();
  const auto end = std::chrono::steady_clock::now() + seconds(20);
  bool again = false;
  while (!again && std::chrono::steady_clock::now() < end) again = watch();
  EXPECT_TRUE(again) << "when one has left";
  for (const auto& context : contexts) context->TryCancel();
  renderer_.LetGo();
}

}  // namespace
}  // namespace diptych
