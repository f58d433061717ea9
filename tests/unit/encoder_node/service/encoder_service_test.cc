#include "encoder_node/service/encoder_service.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "common/net/channel.h"
#include "common/net/grpc_status.h"
#include "common/net/server_runner.h"
#include "common/wire/conditioning_codec.h"
#include "gtest/gtest.h"
#include "tests/unit/encoder_node/service/fake_prompt_encoder.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

struct Answer {
  grpc::Status status;
  std::optional<v1::EncodeInfo> info;
  absl::StatusOr<Conditioning> conditioning = absl::UnknownError("no stream");
};

// The service behind a real server on loopback, with a fake model.
class EncoderServiceTest : public ::testing::Test {
 protected:
  std::ostringstream lines;
  std::shared_ptr<Logger> log = MakeStreamLogger(lines, LogLevel::kDebug);
  std::mutex reports_mutex;
  std::vector<EncodeReport> reports;
  EncoderService service{{.program_version = "1.2.3",
                          .prompt_byte_limit = 3'000'000,
                          .line = {.prompts = 8, .prompts_per_host = 8},
                          .ended =
                              [this](const EncodeReport& report) {
                                const std::lock_guard lock(reports_mutex);
                                reports.push_back(report);
                              }},
                         *log};
  std::shared_ptr<FakePromptEncoder> fake = std::make_shared<FakePromptEncoder>();
  std::unique_ptr<ServerRunner> runner =
      *ServerRunner::Start({"127.0.0.1", 0}, {{v1::Encoder::service_full_name(), &service}});
  std::unique_ptr<v1::Encoder::Stub> stub = v1::Encoder::NewStub(MakeChannel(runner->address()));

  static v1::EncodeRequest Request(const std::string& user) {
    v1::EncodeRequest request;
    request.mutable_prompt()->set_user(user);
    return request;
  }

  Answer Encode(const v1::EncodeRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(60));
    context.set_wait_for_ready(true);
    const auto reader = stub->Encode(&context, request);
    Answer answer;
    ConditioningReceiver receiver;
    v1::EncodeResponse response;
    while (reader->Read(&response)) {
      if (response.has_info()) {
        EXPECT_FALSE(answer.info.has_value()) << "info comes once";
        answer.info = response.info();
      } else {
        EXPECT_TRUE(answer.info.has_value()) << "info comes first";
        const absl::Status added = receiver.Add(response.frame());
        EXPECT_TRUE(added.ok()) << added;
      }
    }
    answer.status = reader->Finish();
    answer.conditioning = receiver.Finish();
    return answer;
  }

  std::string Log() {
    runner->Shutdown(seconds(0));  // no handler writes any more
    log->Info("end of the test");  // by its lock ThreadSanitizer knows that too
    return lines.str();
  }
};

TEST_F(EncoderServiceTest, IsUnavailableUntilTheModelIsLoaded) {
  grpc::ClientContext context;
  v1::DescribeEncoderResponse description;
  const absl::Status described = FromGrpcStatus(stub->Describe(&context, {}, &description), context);
  EXPECT_TRUE(absl::IsUnavailable(described)) << described;
  EXPECT_TRUE(IsStillLoading(described)) << "and not a connection that broke, which has the same code";
  const Answer answer = Encode(Request("a cat"));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(answer.status.error_message().find("loaded"), std::string::npos);
  service.SetEncoder(fake);
  EXPECT_TRUE(Encode(Request("a cat")).status.ok());
}

TEST_F(EncoderServiceTest, IsUnavailableWhileItsWeightsAreNotThoseThatWereLoaded) {
  service.SetEncoder(fake);
  fake->weights_changed = true;
  grpc::ClientContext context;
  v1::DescribeEncoderResponse description;
  const grpc::Status described = stub->Describe(&context, {}, &description);
  EXPECT_EQ(described.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(described.error_message(), "w.safetensors: was changed while in use");
  EXPECT_EQ(Encode(Request("a cat")).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(fake->begun, 0);
  fake->weights_changed = false;
  EXPECT_TRUE(Encode(Request("a cat")).status.ok());
}

TEST_F(EncoderServiceTest, RefusesNewCallsWhenStopping) {
  service.SetEncoder(fake);
  service.BeginStop();
  EXPECT_EQ(Encode(Request("a cat")).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(fake->begun, 0);
  grpc::ClientContext context;
  v1::DescribeEncoderResponse description;
  const absl::Status described = FromGrpcStatus(stub->Describe(&context, {}, &description), context);
  EXPECT_TRUE(absl::IsUnavailable(described) && !IsStillLoading(described)) << described;
}

TEST_F(EncoderServiceTest, RefusesTextThatIsNotUtf8WithItsFieldAndOffset) {
  service.SetEncoder(fake);
  const grpc::Status status = Encode(Request("cat\xff")).status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(),
            "prompt.user is not valid UTF-8: byte 0xFF at offset 3 does not begin or complete a character");
}

TEST_F(EncoderServiceTest, ReportsHowEachCallEnded) {
  service.SetEncoder(fake);
  fake->takes = milliseconds(2);
  const Answer answer = Encode(Request("a cat"));
  const v1::EncodeRequest invalid = Request("cat\xff");
  Encode(invalid);
  fake->fails = true;
  Encode(Request("a dog"));
  const std::lock_guard lock(reports_mutex);
  ASSERT_EQ(reports.size(), 3u);
  EXPECT_EQ(reports[0].code, absl::StatusCode::kOk);
  EXPECT_EQ(reports[0].tokens, answer.conditioning->header.token_count);
  EXPECT_EQ(reports[0].encode_ms, answer.info->encode_ms());
  EXPECT_EQ(reports[0].refused_bytes, 0);
  EXPECT_EQ(reports[1].code, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(reports[1].refused_bytes, static_cast<int64_t>(invalid.ByteSizeLong()));
  EXPECT_EQ(reports[1].encode_ms, 0);
  EXPECT_EQ(reports[2].code, absl::StatusCode::kInternal);
  EXPECT_EQ(reports[2].tokens, 0);
}

TEST_F(EncoderServiceTest, DescribesWhatIsLoaded) {
  service.SetEncoder(fake);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::DescribeEncoderResponse description;
  ASSERT_TRUE(stub->Describe(&context, {}, &description).ok());
  EXPECT_EQ(description.program_version(), "1.2.3");
  EXPECT_EQ(description.model_fingerprint(), std::string(64, 'a'));
  EXPECT_EQ(description.tokenizer_fingerprint(), std::string(64, 'b'));
  EXPECT_EQ(description.width(), 48);
  EXPECT_EQ(description.layers(), 4);
  EXPECT_EQ(description.dtype(), v1::STATE_DTYPE_BFLOAT16);
  EXPECT_EQ(description.threads(), 2);
  EXPECT_EQ(description.device(), "cpu");
  EXPECT_EQ(description.prompt_byte_limit(), 3'000'000);
}

TEST_F(EncoderServiceTest, StreamsWhatTheEncoderMadeWhole) {
  service.SetEncoder(fake);
#ifdef __SANITIZE_THREAD__
  const std::vector<size_t> lengths{0, 10};  // megabytes through an uninstrumented gRPC take minutes
#else
  const std::vector<size_t> lengths{0, 10, 30'000 /* 2.9 MB of states */};
#endif
  for (const size_t length : lengths) {
    const std::string prompt(length, 'x');
    const Answer answer = Encode(Request(prompt));
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    ASSERT_TRUE(answer.conditioning.ok()) << answer.conditioning.status();
    const std::string text = "<|im_start|>user\n" + prompt + "<|im_end|>\n<|im_start|>assistant\n";
    EXPECT_EQ(answer.info->formatted_text(), text);
    EXPECT_GE(answer.info->encode_ms(), 0);
    const Conditioning made = fake->Encode({.text = text}, {}, {});
    EXPECT_EQ(answer.conditioning->header, made.header);
    EXPECT_EQ(answer.conditioning->bytes, made.bytes);
  }
}

TEST_F(EncoderServiceTest, HandsLayerModeAndLimitToTheEncoder) {
  service.SetEncoder(fake);
  v1::EncodeRequest request = Request("a cat");
  request.set_layer(-4);
  request.set_long_prompt_mode(v1::LONG_PROMPT_MODE_TRUNCATE);
  request.set_row_limit(7);
  const Answer answer = Encode(request);
  ASSERT_TRUE(answer.conditioning.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.conditioning->header.layer, -4);
  EXPECT_EQ(answer.conditioning->header.long_prompt_mode, LongPromptMode::kTruncate);
  EXPECT_EQ(answer.conditioning->header.rows, 7);
  EXPECT_NE(Log().find("long-prompt mode truncate made 7 rows"), std::string::npos);
}

TEST_F(EncoderServiceTest, RefusesABadRequestAndLivesOn) {
  service.SetEncoder(fake);
  v1::EncodeRequest request = Request("a cat");
  request.set_layer(3);
  const Answer answer = Encode(request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(answer.status.error_message().find("layer 3"), std::string::npos);
  EXPECT_FALSE(answer.info.has_value());
  EXPECT_TRUE(Encode(Request("a cat")).status.ok());
}

// As long as the fields are strings the message does not parse: gRPC answers INTERNAL before our code sees it.
TEST_F(EncoderServiceTest, SurvivesAPromptThatIsNotUtf8) {
  service.SetEncoder(fake);
  const Answer answer = Encode(Request("a \xff cat"));
  EXPECT_FALSE(answer.status.ok());
  EXPECT_EQ(fake->begun, 0);
  EXPECT_TRUE(Encode(Request("a cat")).status.ok());
}

TEST_F(EncoderServiceTest, AnEncoderThatFailsFailsItsCallAlone) {
  service.SetEncoder(fake);
  fake->fails = true;
  const Answer answer = Encode(Request("a cat"));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(answer.status.error_message(), "the weights caught fire");
  EXPECT_FALSE(answer.info.has_value());
  fake->fails = false;
  EXPECT_TRUE(Encode(Request("a cat")).status.ok());
}

TEST_F(EncoderServiceTest, CancellingTheCallReachesTheEncoder) {
  service.SetEncoder(fake);
  fake->takes = milliseconds(60'000);
  grpc::ClientContext context;
  const auto reader = stub->Encode(&context, Request("a cat"));
  while (fake->begun == 0) std::this_thread::sleep_for(milliseconds(1));
  const auto start = steady_clock::now();
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  while (fake->cancelled == 0 && steady_clock::now() - start < seconds(20))
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(fake->cancelled, 1);
}

TEST_F(EncoderServiceTest, ACancelledCallThatWaitsNeverReachesTheEncoder) {
  service.SetEncoder(fake);
  fake->takes = milliseconds(500);
  std::thread first([&] { EXPECT_TRUE(Encode(Request("first")).status.ok()); });
  while (fake->begun == 0) std::this_thread::sleep_for(milliseconds(1));
  grpc::ClientContext context;
  const auto reader = stub->Encode(&context, Request("second"));
  std::this_thread::sleep_for(milliseconds(100));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  first.join();
  EXPECT_TRUE(Encode(Request("third")).status.ok());
  EXPECT_EQ(fake->begun, 2);
}

TEST_F(EncoderServiceTest, ConcurrentCallsTakeTurnsAndTheirTimesExcludeTheWait) {
  service.SetEncoder(fake);
  fake->takes = milliseconds(100);
  std::vector<std::thread> callers;
  std::vector<Answer> answers(4);
  for (Answer& answer : answers) callers.emplace_back([this, &answer] { answer = Encode(Request("a cat")); });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(fake->most_at_once, 1);
  double least = 1e9;
  for (const Answer& answer : answers) {
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_GE(answer.info->encode_ms(), 100);
    least = std::min(least, answer.info->encode_ms());
  }
  EXPECT_LT(least, 399) << "the sum of all four would mean that waiting was counted";
}

TEST_F(EncoderServiceTest, AShortPromptOfAnotherClientIsAnsweredBeforeALongOne) {
  service.SetEncoder(fake);
  fake->takes = milliseconds(60'000);
  grpc::ClientContext context;
  v1::EncodeRequest long_request = Request("long");
  long_request.set_client("ada");
  const auto reader = stub->Encode(&context, long_request);
  while (fake->begun == 0) std::this_thread::sleep_for(milliseconds(1));
  fake->takes = milliseconds(1);
  for (const std::string client : {"bob", ""}) {  // without a name: the host that it comes from
    v1::EncodeRequest short_request = Request("short");
    short_request.set_client(client);
    EXPECT_TRUE(Encode(short_request).status.ok());
  }
  EXPECT_EQ(fake->begun, 3);
  EXPECT_EQ(fake->cancelled, 0);
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// Of many prompts at once the line takes so many; the rest costs nothing and is asked to come again.
TEST_F(EncoderServiceTest, AFullLineAsksToComeAgainAndAnotherConnectionGetsItsPlace) {
  service.SetEncoder(fake);
  fake->takes = milliseconds(60'000);
  constexpr int kAsked = 30;
  std::vector<grpc::ClientContext> contexts(kAsked);
  std::vector<std::unique_ptr<grpc::ClientReader<v1::EncodeResponse>>> readers;
  for (grpc::ClientContext& context : contexts)
    readers.push_back(stub->Encode(&context, Request(std::string(5000, 'x'))));
  const auto refused = [&] {
    const std::lock_guard lock(reports_mutex);
    return std::count_if(reports.begin(), reports.end(), [](const EncodeReport& report) {
      return report.code == absl::StatusCode::kResourceExhausted;
    });
  };
  while (refused() < kAsked - 8) std::this_thread::sleep_for(milliseconds(1));

  {
    grpc::ClientContext context;
    EXPECT_EQ(stub->Encode(&context, Request(std::string(5000, 'x')))->Finish().error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(context.GetServerTrailingMetadata().count("retry-after-ms"), 1u);
  }

  // Somebody else, at a connection of his own.
  fake->takes = milliseconds(1);
  const auto other = v1::Encoder::NewStub(
      grpc::CreateCustomChannel(runner->address().ToString(), grpc::InsecureChannelCredentials(), [] {
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        return arguments;
      }()));
  grpc::ClientContext honest;
  honest.set_deadline(std::chrono::system_clock::now() + seconds(60));
  const auto reader = other->Encode(&honest, Request("a cat"));
  v1::EncodeResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  while (refused() < kAsked - 8 + 2) std::this_thread::sleep_for(milliseconds(1));  // one gave way

  for (grpc::ClientContext& context : contexts) context.TryCancel();
  for (const auto& reader : readers) reader->Finish();
  EXPECT_TRUE(Encode(Request("a cat")).status.ok()) << "who has left holds no place";
}

TEST_F(EncoderServiceTest, TellsWhoWantsToKnowThatItWaitsAndThatItWorks) {
  service.SetEncoder(fake);
  fake->takes = milliseconds(60'000);
  grpc::ClientContext first_context, second_context;
  v1::EncodeRequest request = Request("a cat");
  request.set_tell_progress(true);
  const auto first = stub->Encode(&first_context, request);
  v1::EncodeResponse response;
  ASSERT_TRUE(first->Read(&response));
  EXPECT_TRUE(response.has_progress() && response.progress().working());
  const auto second = stub->Encode(&second_context, request);  // of the same name: not before the first has ended
  ASSERT_TRUE(second->Read(&response));
  EXPECT_TRUE(response.has_progress() && !response.progress().working());
  EXPECT_EQ(response.progress().ahead(), 1);
  fake->takes = milliseconds(2000);
  first_context.TryCancel();
  EXPECT_EQ(first->Finish().error_code(), grpc::StatusCode::CANCELLED);
  bool worked = false, has_info = false;
  while (second->Read(&response)) {
    worked = worked || response.progress().working();
    if (response.has_info()) has_info = true;
  }
  EXPECT_TRUE(second->Finish().ok());
  EXPECT_TRUE(worked && has_info);
}

// A client that takes nothing from its connection must not hold up the work.
TEST_F(EncoderServiceTest, OneThatReadsNothingHoldsUpNobody) {
  service.SetEncoder(fake);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  const auto lazy = v1::Encoder::NewStub(
      grpc::CreateCustomChannel(runner->address().ToString(), grpc::InsecureChannelCredentials(), arguments));
  std::vector<grpc::ClientContext> contexts(4);
  std::vector<std::unique_ptr<grpc::ClientReader<v1::EncodeResponse>>> readers;
  for (grpc::ClientContext& context : contexts) {
    v1::EncodeRequest request = Request(std::string(30'000, 'x'));  // 2.9 MB of states
    request.set_tell_progress(true);
    readers.push_back(lazy->Encode(&context, request));
  }
  while (fake->begun < 4) std::this_thread::sleep_for(milliseconds(1));
  const auto start = steady_clock::now();
  EXPECT_TRUE(Encode(Request("a cat")).status.ok());
  EXPECT_LT(steady_clock::now() - start, EncodeReply::kStall);
  for (grpc::ClientContext& context : contexts) context.TryCancel();
  for (const auto& reader : readers) reader->Finish();
}

TEST_F(EncoderServiceTest, LogsTheJobAndItsStatisticsButNotThePrompt) {
  service.SetEncoder(fake);
  v1::EncodeRequest request = Request("a secret cat");
  request.set_job_id("job-7");
  ASSERT_TRUE(Encode(request).status.ok());
  const std::string log_text = Log();
  EXPECT_NE(log_text.find("job=job-7"), std::string::npos) << log_text;
  EXPECT_NE(log_text.find("x 48 bfloat16 of layer -2 in "), std::string::npos) << log_text;
  EXPECT_NE(log_text.find("hidden states: "), std::string::npos) << log_text;
  EXPECT_EQ(log_text.find("secret"), std::string::npos) << log_text;
  EXPECT_EQ(log_text.find("token ids"), std::string::npos) << "ids are as good as the prompt: " << log_text;
}

TEST(EncoderServiceLog, ShowsPromptsWhenAllowed) {
  std::ostringstream lines;
  const auto log = MakeStreamLogger(lines, LogLevel::kDebug);
  EncoderService service({.program_version = "1", .log_prompts = true}, *log);
  service.SetEncoder(std::make_shared<FakePromptEncoder>());
  const auto runner = *ServerRunner::Start({"127.0.0.1", 0}, {{v1::Encoder::service_full_name(), &service}});
  const auto stub = v1::Encoder::NewStub(MakeChannel(runner->address()));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::EncodeRequest request;
  request.mutable_prompt()->set_user("a secret cat");
  const auto reader = stub->Encode(&context, request);
  v1::EncodeResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  runner->Shutdown(seconds(0));
  log->Info("end of the test");
  EXPECT_NE(lines.str().find("secret"), std::string::npos) << lines.str();
  // The fake's ids are the bytes of "<|im_start|>user\na s..."; twenty of them.
  EXPECT_NE(lines.str().find("token ids: 60 124 105 109 95 115 116 97 114 116 124 62 117 115 101 114 10 97 32 115\n"),
            std::string::npos)
      << lines.str();
}

}  // namespace
}  // namespace diptych
