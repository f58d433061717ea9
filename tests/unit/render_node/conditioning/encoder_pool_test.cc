#include "render_node/conditioning/encoder_pool.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "common/digest/sha256.h"
#include "common/log/log.h"
#include "common/net/grpc_status.h"
#include "common/net/server_runner.h"
#include "common/prompt/chat_formatter.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/support/scripted_encoder.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// An address at which nobody listens.
Address NobodysAddress() {
  Daemon daemon;
  return daemon.address();
}

EncoderPoolOptions Options(std::vector<Address> encoders) {
  EncoderPoolOptions options;
  options.encoders = std::move(encoders);
  options.expected_width = 48;
  options.limits.unreachable_patience = milliseconds(1);
  options.first_pause = milliseconds(20);
  options.longest_pause = milliseconds(200);
  return options;
}

FetchRequest Request() {
  FetchRequest request;
  request.prompt.user = "a cat";
  request.row_limit = 1504;
  request.job_id = "job-1";
  return request;
}

// Of a prompt that can have 1504 tokens.
FetchRequest LongRequest() {
  FetchRequest request = Request();
  request.prompt.user += std::string(600, '!');
  return request;
}

FetchResult Fetch(EncoderPool* client, const FetchRequest& request = Request()) {
  return client->Fetch(request, CancelToken(), [](const std::string&) {});
}

// The error of a Fetch; fails the test when there is none.
Error FetchError(EncoderPool* client, const FetchRequest& request = Request()) {
  try {
    Fetch(client, request);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "conditioning was accepted";
  return Error(ErrorCode::kInternal, "");
}

// False when it does not become true for a long time.
bool Await(const std::function<bool()>& condition) {
  const auto end = steady_clock::now() + seconds(60);
  while (!condition()) {
    if (steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

bool Contains(const Error& error, const std::string& text) {
  return std::string(error.what()).find(text) != std::string::npos;
}

TEST(EncoderPool, BringsTheBlockAsItWasSent) {
  for (const int64_t rows : {1, 20, 1504}) {  // up to 144 KB
    Daemon daemon;
    daemon.service.Say(GoodAnswer(Block(rows)));
    EncoderPool client(Options({daemon.address()}));
    const FetchResult result = Fetch(&client, LongRequest());
    ConditioningHeader expected = Block(rows).header;
    expected.input_sha256 = Sha256Hex(FormatPrompt(LongRequest().prompt));
    EXPECT_EQ(result.conditioning.header, expected);
    EXPECT_EQ(result.conditioning.bytes, Block(rows).bytes);
    EXPECT_EQ(result.encode_ms, 0.001);
    EXPECT_GT(result.transfer_ms, 0);
  }
}

// A job whose timings are not finite could be stored, and never read again.
TEST(EncoderPool, BelievesNoTimeThatIsNoneOrLongerThanTheCall) {
  Daemon daemon;
  EncoderPool client(Options({daemon.address()}));
  for (const double claimed : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity(), 1e300}) {
    Answer answer = GoodAnswer();
    answer[0].mutable_info()->set_encode_ms(claimed);
    daemon.service.Say(answer);
    const FetchResult result = Fetch(&client);
    EXPECT_GE(result.encode_ms, 0) << claimed;
    EXPECT_LT(result.encode_ms, 60'000) << claimed;
    EXPECT_GE(result.transfer_ms, 0) << claimed;
    EXPECT_LT(result.transfer_ms, 60'000) << claimed;
  }
}

TEST(EncoderPool, BringsABlockOfSeveralChunks) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "megabytes through an uninstrumented gRPC take minutes under ThreadSanitizer";
#endif
  Daemon daemon;
  const Conditioning block = Block(1504, 2560);
  daemon.service.Say(GoodAnswer(block));
  daemon.service.width = 2560;
  EncoderPoolOptions options = Options({daemon.address()});
  options.expected_width = 2560;
  EncoderPool client(options);
  EXPECT_EQ(Fetch(&client, LongRequest()).conditioning.bytes, block.bytes);
}

TEST(EncoderPool, AsksForExactlyWhatTheJobSays) {
  Daemon daemon;
  EncoderPoolOptions options = Options({daemon.address()});
  options.expected_model_fingerprint = std::string(64, 'a');
  EncoderPool client(options);
  FetchRequest request = Request();
  request.prompt.system = "You paint.";
  request.prompt.thinking = "calm";
  request.prompt.assistant = "done";
  request.prompt.force_think_block = request.prompt.remove_quotes = request.prompt.keep_whitespace = true;
  request.long_prompt_mode = LongPromptMode::kPool;
  Conditioning block = Block();
  block.header.long_prompt_mode = LongPromptMode::kPool;
  daemon.service.Say(GoodAnswer(block));
  Fetch(&client, request);
  const v1::EncodeRequest sent = daemon.service.last_request();
  EXPECT_EQ(sent.prompt().user(), "a cat");
  EXPECT_EQ(sent.prompt().system(), "You paint.");
  EXPECT_EQ(sent.prompt().thinking(), "calm");
  EXPECT_EQ(sent.prompt().assistant(), "done");
  EXPECT_TRUE(sent.prompt().force_think_block());
  EXPECT_TRUE(sent.prompt().remove_quotes());
  EXPECT_TRUE(sent.prompt().keep_whitespace());
  EXPECT_EQ(sent.layer(), -2);
  EXPECT_EQ(sent.long_prompt_mode(), v1::LONG_PROMPT_MODE_POOL);
  EXPECT_EQ(sent.row_limit(), 1504);
  EXPECT_EQ(sent.expected_model_fingerprint(), std::string(64, 'a'));
  EXPECT_EQ(sent.job_id(), "job-1");

  daemon.service.Say(GoodAnswer());
  request = Request();
  request.prompt = {};
  request.prompt.conversation_json = R"([{"role": "user", "content": "a cat"}])";
  Fetch(&client, request);
  EXPECT_EQ(daemon.service.last_request().prompt().conversation_json(), request.prompt.conversation_json);
  EXPECT_FALSE(daemon.service.last_request().prompt().has_system());
}

// What the client says to an answer of three chunks and one trailer, after `change`.
void ExpectBroken(const std::function<void(Answer*)>& change, const std::string& reason) {
  Daemon daemon;
  Answer answer = GoodAnswer(Block(1504, 1024));
  ASSERT_EQ(answer.size(), 6u);
  change(&answer);
  daemon.service.Say(answer);
  EncoderPoolOptions options = Options({daemon.address()});
  options.expected_width = 0;
  EncoderPool client(options);
  const Error error = FetchError(&client, LongRequest());
  EXPECT_EQ(error.code(), ErrorCode::kDataLoss) << error.what();
  EXPECT_TRUE(Contains(error, reason)) << error.what();
  EXPECT_TRUE(Contains(error, daemon.address().ToString())) << error.what();

  daemon.service.Say(GoodAnswer());
  EXPECT_NO_THROW(Fetch(&client)) << "the next call works";
}

TEST(EncoderPool, RefusesEveryKindOfBrokenStream) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "megabytes through an uninstrumented gRPC take minutes under ThreadSanitizer";
#endif
  ExpectBroken([](Answer* a) { a->clear(); }, "ended before its header");
  ExpectBroken([](Answer* a) { a->erase(a->begin()); }, "does not begin with an info message");
  ExpectBroken([](Answer* a) { a->insert(a->begin(), a->front()); }, "second info");
  ExpectBroken([](Answer* a) { a->push_back(a->front()); }, "second info");
  ExpectBroken([](Answer* a) { a->insert(a->begin() + 1, v1::EncodeResponse()); }, "neither info nor frame");
  ExpectBroken([](Answer* a) { a->erase(a->begin() + 1); }, "before the header");
  ExpectBroken([](Answer* a) { a->insert(a->begin() + 2, (*a)[1]); }, "second header");
  ExpectBroken([](Answer* a) { a->erase(a->begin() + 3); }, "where 1048576 was due");
  ExpectBroken([](Answer* a) { std::swap((*a)[2], (*a)[3]); }, "where 0 was due");
  ExpectBroken([](Answer* a) { (*a)[2].mutable_frame()->mutable_chunk()->mutable_data()->push_back('x'); }, "1048577");
  ExpectBroken([](Answer* a) { (*a)[4].mutable_frame()->mutable_chunk()->mutable_data()->push_back('x'); },
               "the header states 3080192");
  ExpectBroken([](Answer* a) { (*(*a)[4].mutable_frame()->mutable_chunk()->mutable_data())[0] ^= 1; }, "checksum");
  ExpectBroken([](Answer* a) { a->back().mutable_frame()->mutable_trailer()->set_sha256("no"); }, "checksum");
  ExpectBroken([](Answer* a) { a->pop_back(); }, "without its trailer");
  ExpectBroken([](Answer* a) { a->push_back(a->back()); }, "second trailer");
  ExpectBroken([](Answer* a) { (*a)[1].mutable_frame()->mutable_header()->set_rows(int64_t{1} << 60); }, "rows");
  ExpectBroken([](Answer* a) { (*a)[1].mutable_frame()->mutable_header()->clear_dtype(); }, "dtype");
  ExpectBroken([](Answer* a) { (*a)[0].mutable_info()->set_formatted_text("another text"); }, "another text");
}

TEST(EncoderPool, RefusesRowsOfAnotherWidthAndNamesBoth) {
  Daemon daemon;
  daemon.service.Say(GoodAnswer(Block(20, 96)));
  EncoderPool client(Options({daemon.address()}));
  const Error error = FetchError(&client);
  EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Contains(error, "96") && Contains(error, "48")) << error.what();
}

TEST(EncoderPool, RefusesAnotherLayerAndMoreRowsThanItAskedFor) {
  Daemon daemon;
  EncoderPool client(Options({daemon.address()}));
  FetchRequest request = Request();
  request.layer = -1;
  EXPECT_TRUE(Contains(FetchError(&client, request), "it sent layer -2, asked for was -1"));
  request = Request();
  request.row_limit = 19;
  EXPECT_TRUE(Contains(FetchError(&client, request), "it sent 20 rows, asked for were at most 19"));
}

TEST(EncoderPool, RefusesAnotherLongPromptModeAndMoreRowsThanTokens) {
  Daemon daemon;
  EncoderPool client(Options({daemon.address()}));
  FetchRequest request = Request();
  request.long_prompt_mode = LongPromptMode::kPool;
  EXPECT_TRUE(Contains(FetchError(&client, request),
                       "it sent LONG_PROMPT_MODE_INTERPOLATE, asked for was LONG_PROMPT_MODE_POOL"));
  Conditioning block = Block();
  block.header.token_count = 19;
  daemon.service.Say(GoodAnswer(block));
  EXPECT_TRUE(Contains(FetchError(&client, Request()), "its header has 20 rows of 19 tokens"));
}

TEST(EncoderPool, KeepsTheEncodersCodeAndWords) {
  const std::pair<grpc::StatusCode, ErrorCode> codes[] = {
      {grpc::StatusCode::INVALID_ARGUMENT, ErrorCode::kInvalidArgument},
      {grpc::StatusCode::FAILED_PRECONDITION, ErrorCode::kFailedPrecondition},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, ErrorCode::kResourceExhausted},
      {grpc::StatusCode::NOT_FOUND, ErrorCode::kNotFound},
      {grpc::StatusCode::UNIMPLEMENTED, ErrorCode::kFailedPrecondition},
      {grpc::StatusCode::PERMISSION_DENIED, ErrorCode::kFailedPrecondition},
      {grpc::StatusCode::UNAUTHENTICATED, ErrorCode::kFailedPrecondition},
      {grpc::StatusCode::OUT_OF_RANGE, ErrorCode::kInvalidArgument},
      {grpc::StatusCode::UNAVAILABLE, ErrorCode::kUnavailable},
      {grpc::StatusCode::DATA_LOSS, ErrorCode::kDataLoss},
      {grpc::StatusCode::UNKNOWN, ErrorCode::kInternal},
      {grpc::StatusCode::INTERNAL, ErrorCode::kInternal},
  };
  Daemon daemon;
  EncoderPoolOptions options = Options({daemon.address()});
  options.limits.work = milliseconds(300);  // ends the waiting for one that says UNAVAILABLE
  EncoderPool client(options);
  for (const auto& [sent, expected] : codes) {
    daemon.service.Say({}, grpc::Status(sent, "because"));
    const Error error = FetchError(&client);
    EXPECT_EQ(error.code(), expected) << error.what();
    if (expected != ErrorCode::kUnavailable) {
      EXPECT_TRUE(Contains(error, "encoder " + daemon.address().ToString() + ": because")) << error.what();
    }
  }
}

TEST(EncoderPool, AnErrorAfterAWholeStreamStillCounts) {
  Daemon daemon;
  daemon.service.Say(GoodAnswer(), grpc::Status(grpc::StatusCode::INTERNAL, "afterthought"));
  EncoderPool client(Options({daemon.address()}));
  EXPECT_TRUE(Contains(FetchError(&client), "afterthought"));
}

TEST(EncoderPool, GoesToTheNextWhenOneIsNotThere) {
  Daemon daemon;
  EncoderPool client(Options({NobodysAddress(), daemon.address()}));
  Fetch(&client);
  EXPECT_EQ(daemon.service.calls, 1);
}

TEST(EncoderPool, SaysUnavailableWhenNoneIsThere) {
  const Address first = NobodysAddress(), second = NobodysAddress();
  EncoderPool client(Options({first, second}));
  const auto start = steady_clock::now();
  const Error error = FetchError(&client);
  EXPECT_LT(steady_clock::now() - start, seconds(20));
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(Contains(error, first.ToString()) && Contains(error, second.ToString())) << error.what();
  EXPECT_FALSE(Contains(error, "\n")) << error.what();
}

TEST(EncoderPool, WaitsForAnEncoderThatIsLoadingAndSaysSo) {
  Daemon daemon;
  daemon.service.refuses_first = 3;
  EncoderPool client(Options({daemon.address()}));  // no patience with the unreachable, but this one answers
  std::vector<std::string> reasons;
  client.Fetch(Request(), CancelToken(), [&](const std::string& reason) { reasons.push_back(reason); });
  EXPECT_EQ(daemon.service.calls, 4);
  EXPECT_EQ(reasons, std::vector<std::string>{"encoder " + daemon.address().ToString() + ": still loading"});
}

TEST(EncoderPool, FindsAnEncoderThatComesLate) {
  const Address address = NobodysAddress();
  EncoderPoolOptions options = Options({address});
  options.limits.unreachable_patience = seconds(60);
  EncoderPool client(options);
  ScriptedEncoder service;
  std::unique_ptr<ServerRunner> runner;
  std::future<void> late;
  client.Fetch(Request(), CancelToken(), [&](const std::string&) {
    if (late.valid()) return;
    late = std::async(std::launch::async, [&] {
      runner = *ServerRunner::Start(address, {{v1::Encoder::service_full_name(), &service}});
    });
  });
  late.get();
  EXPECT_EQ(service.calls, 1);
}

TEST(EncoderPool, CancellingReachesTheEncoder) {
  Daemon daemon;
  daemon.service.waits_ms = 60'000;
  EncoderPool client(Options({daemon.address()}));
  const CancelToken cancel;
  std::thread impatient([&] {
    while (daemon.service.calls == 0) std::this_thread::sleep_for(milliseconds(1));
    cancel.Cancel();
  });
  const auto start = steady_clock::now();
  try {
    client.Fetch(Request(), cancel, nullptr);
    ADD_FAILURE() << "it was not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  impatient.join();
  while (!daemon.service.saw_cancel && steady_clock::now() - start < seconds(20))
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_TRUE(daemon.service.saw_cancel);
}

TEST(EncoderPool, CancellingEndsTheWaitForAnEncoder) {
  EncoderPoolOptions options = Options({NobodysAddress()});
  options.limits.unreachable_patience = milliseconds(0);
  EncoderPool client(options);
  const CancelToken cancel;
  const auto start = steady_clock::now();
  try {
    client.Fetch(Request(), cancel, [&](const std::string&) { cancel.Cancel(); });
    ADD_FAILURE() << "it was not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  EXPECT_LT(steady_clock::now() - start, seconds(20));
}

TEST(EncoderPool, GivesUpAfterTheTimeForOnePrompt) {
  Daemon daemon;
  daemon.service.waits_ms = 60'000;
  EncoderPoolOptions options = Options({daemon.address()});
  options.limits.work = milliseconds(200);
  EncoderPool client(options);
  const Error error = FetchError(&client);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(Contains(error, "no result within 0.2 s")) << error.what();
}

TEST(EncoderPool, DescribesEveryEncoder) {
  Daemon good, loading;
  loading.service.Be('a', StillLoadingError("still loading"));
  const Address nobody = NobodysAddress();
  EncoderPool client(Options({good.address(), loading.address(), nobody}));
  const std::vector<EncoderPool::Report> reports = client.Describe();
  ASSERT_EQ(reports.size(), 3u);
  EXPECT_EQ(reports[0].address, good.address().ToString());
  EXPECT_TRUE(reports[0].reachable);
  EXPECT_EQ(reports[0].model_fingerprint, std::string(64, 'a'));
  EXPECT_EQ(reports[0].width, 48);
  EXPECT_EQ(reports[0].state, EncoderState::kUp);
  EXPECT_EQ(reports[0].error, "");
  EXPECT_FALSE(reports[1].reachable);
  EXPECT_EQ(reports[1].state, EncoderState::kLoading);
  EXPECT_EQ(reports[1].error, "still loading");
  EXPECT_EQ(reports[2].address, nobody.ToString());
  EXPECT_FALSE(reports[2].reachable);
  EXPECT_EQ(reports[2].state, EncoderState::kDown);
  EXPECT_NE(reports[2].error, "");
}

// What gRPC says of a connection whose peer is silent or gone has the code of an encoder that loads its model.
TEST(EncoderPool, OneThatIsSilentOrGoneIsDownAndNotLoading) {
  Daemon daemon;
  EncoderPool pool(Options({daemon.address()}));
  for (const char* words : {"keepalive watchdog timeout", "Connection reset by peer", "Socket closed", "stopping"}) {
    daemon.service.Be('a');
    ASSERT_TRUE(Await([&] { return pool.Describe()[0].state == EncoderState::kUp; }));
    daemon.service.Be('a', absl::UnavailableError(words));  // a look
    EXPECT_EQ(pool.Describe()[0].state, EncoderState::kDown) << words;
    EXPECT_NE(pool.Known()[0].error.find(words), std::string::npos) << pool.Known()[0].error;
  }
}

TEST(EncoderPool, ACallThatEndsInSilenceSaysDownAndNotLoading) {
  Daemon daemon;
  std::ostringstream lines;
  EncoderPoolOptions options = Options({daemon.address()});
  options.log = *MakeStreamLogger(lines, LogLevel::kInfo);
  {
    EncoderPool pool(options);
    ASSERT_EQ(pool.Describe()[0].state, EncoderState::kUp);
    daemon.service.Be('a', absl::UnavailableError("no route to host"));  // nor is it there for the looks that follow
    daemon.service.Say({}, grpc::Status(grpc::StatusCode::UNAVAILABLE, "keepalive watchdog timeout"));
    FetchError(&pool);
  }
  EXPECT_NE(lines.str().find("is down: it has gone silent (keepalive watchdog timeout)"), std::string::npos)
      << lines.str();
  EXPECT_EQ(lines.str().find("is loading"), std::string::npos) << lines.str();
}

// A pool of two whose states are known, so that the first is asked first. Looks come only when they are asked for.
struct Pair {
  explicit Pair(const std::function<void(EncoderPoolOptions*)>& change = nullptr) {
    EncoderPoolOptions options = Options({first.address(), second.address()});
    options.first_pause = options.longest_pause = options.check_interval = std::chrono::hours(1);
    if (change) change(&options);
    pool = std::make_unique<EncoderPool>(options);
    pool->Describe();
  }
  Daemon first, second;
  std::unique_ptr<EncoderPool> pool;
};

Answer Cut() {
  Answer answer = GoodAnswer();
  answer.resize(2);
  return answer;
}

TEST(EncoderPool, GoesToAnotherWhenOneEndsInTheMiddle) {
  Pair pair;
  pair.first.service.Say(Cut(), grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping"));
  EXPECT_EQ(Fetch(pair.pool.get()).conditioning.bytes, Block().bytes);
  pair.pool->Describe();
  pair.first.service.Say(Cut());  // and no trailer
  EXPECT_EQ(Fetch(pair.pool.get()).conditioning.bytes, Block().bytes);
  EXPECT_EQ(pair.first.service.calls, 2);
  EXPECT_EQ(pair.second.service.calls, 2);
}

TEST(EncoderPool, GoesToAnotherWhenOneIsKilledInTheMiddle) {
  Pair pair;
  pair.first.service.holds = true;
  std::jthread killer([&] {
    EXPECT_TRUE(Await([&] { return pair.first.service.calls == 1; }));
    pair.first.Kill();
  });
  EXPECT_EQ(Fetch(pair.pool.get()).conditioning.bytes, Block().bytes);
  EXPECT_EQ(pair.second.service.calls, 1);
}

TEST(EncoderPool, BrokenStreamsFromAllAreLost) {
  Pair pair;
  pair.first.service.Say(Cut());
  pair.second.service.Say(Cut());
  const Error error = FetchError(pair.pool.get());
  EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  EXPECT_TRUE(Contains(error, pair.first.address().ToString())) << error.what();
  EXPECT_TRUE(Contains(error, pair.second.address().ToString())) << error.what();
}

// Whatever one says may be its own fault.
TEST(EncoderPool, OneThatFailsInAnyWayCostsNoJobWhileAnotherGivesRows) {
  for (int code = 1; code <= 16; ++code) {
    Pair pair;
    pair.first.service.Say({}, grpc::Status(static_cast<grpc::StatusCode>(code), "broken"));
    for (int i = 0; i < 4; ++i) EXPECT_NO_THROW(Fetch(pair.pool.get())) << code;
    EXPECT_EQ(pair.second.service.calls, 4) << code;
    const bool is_lost = code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::CANCELLED;
    if (!is_lost && code != grpc::StatusCode::ABORTED) {
      EXPECT_EQ(pair.first.service.calls, 1) << code << ": it is not asked first for each job";
    }
  }
}

TEST(EncoderPool, OneInDoubtIsShownAndLoggedOnceAndRowsOfItsOwnMendThat) {
  std::ostringstream lines;
  {
    Pair pair([&](EncoderPoolOptions* options) { options->log = *MakeStreamLogger(lines, LogLevel::kInfo); });
    pair.first.service.Say({}, grpc::Status(grpc::StatusCode::NOT_FOUND, "no\nsuch \x1b[2J" + std::string(1000, 'x')));
    for (int i = 0; i < 3; ++i) Fetch(pair.pool.get());
    const EncoderPool::Report report = pair.pool->Known()[0];
    EXPECT_EQ(report.state, EncoderState::kUp);
    EXPECT_EQ(report.error.find("in doubt, asked last: another encoder gave rows where it said: no\\nsuch \\x1b[2Jx"),
              0u)
        << report.error;
    EXPECT_LT(report.error.size(), 300u);
    pair.second.service.Say({}, grpc::Status(grpc::StatusCode::INTERNAL, "now this one"));
    pair.first.service.Say(GoodAnswer());
    Fetch(pair.pool.get());
    EXPECT_EQ(pair.pool->Known()[0].error, "");
    EXPECT_NE(pair.pool->Known()[1].error.find("now this one"), std::string::npos);
  }
  const std::string log = lines.str();
  EXPECT_NE(log.find("is in doubt"), std::string::npos) << log;
  EXPECT_EQ(log.find("no\\nsuch"), log.rfind("no\\nsuch")) << log;
  EXPECT_NE(log.find("gives rows again"), std::string::npos) << log;
}

// gRPC's own status for it is that of a full encoder, which would be asked again and again.
TEST(EncoderPool, AnAnswerBeyondOurLimitIsABrokenEncoderAndNotABusyOne) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "megabytes through an uninstrumented gRPC take minutes under ThreadSanitizer";
#endif
  const auto huge = [] {
    Answer answer(1);
    answer[0].mutable_info()->set_formatted_text(std::string(5 << 20, 'x'));
    return answer;
  };
  Pair pair;
  pair.first.service.Say(huge());
  for (int i = 0; i < 2; ++i) Fetch(pair.pool.get());
  EXPECT_EQ(pair.first.service.calls, 1) << "the other one at once, and first from then on";
  EXPECT_NE(pair.pool->Known()[0].error.find("more than 4194304 bytes"), std::string::npos)
      << pair.pool->Known()[0].error;

  Daemon alone;
  alone.service.Say(huge());
  EncoderPool pool(Options({alone.address()}));
  EXPECT_EQ(FetchError(&pool).code(), ErrorCode::kDataLoss);
  EXPECT_EQ(alone.service.calls, 1);
  for (int i = 0; i < 2; ++i) FetchError(&pool);
  EXPECT_EQ(pool.Known()[0].state, EncoderState::kDown) << "three broken calls in a row";
}

TEST(EncoderPool, WhatAllRefuseFailsWithTheCodeThatIsAboutTheRequest) {
  Pair pair;
  pair.first.service.Say({}, grpc::Status(grpc::StatusCode::INTERNAL, "caught fire"));
  pair.second.service.Say({}, grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "too many tokens"));
  const Error error = FetchError(pair.pool.get());
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(Contains(error, "caught fire") && Contains(error, "too many tokens")) << error.what();
  EXPECT_EQ(pair.first.service.calls, 1);
  EXPECT_EQ(pair.second.service.calls, 1);
  EXPECT_EQ(pair.pool->Known()[0].error + pair.pool->Known()[1].error, "") << "nobody is in doubt";
}

TEST(EncoderPool, ARefusalWaitsForTheOneThatIsNotThereButNotForEver) {
  Pair pair([](EncoderPoolOptions* options) {
    options->limits.unreachable_patience = milliseconds(0);
    options->first_pause = options->longest_pause = milliseconds(20);
    options->limits.second_opinion = seconds(60);
  });
  pair.first.service.Say({}, grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "I take no prompt"));
  pair.second.Kill();
  EXPECT_TRUE(Await([&] { return pair.pool->Describe()[1].state == EncoderState::kDown; }));
  std::jthread late([&] {
    EXPECT_TRUE(Await([&] { return pair.first.service.calls == 1; }));
    pair.second.Start();
  });
  EXPECT_NO_THROW(Fetch(pair.pool.get()));
  late.join();
  EXPECT_EQ(pair.first.service.calls, 1) << "what it said was heard";

  Pair other([](EncoderPoolOptions* options) { options->limits.second_opinion = milliseconds(300); });
  other.first.service.Say({}, grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "I take no prompt"));
  other.second.Kill();
  other.pool->Describe();
  EXPECT_EQ(FetchError(other.pool.get()).code(), ErrorCode::kInvalidArgument);
}

TEST(EncoderPool, OneThatAsksToComeAgainIsWaitedForAndOthersAreAskedMeanwhile) {
  Pair pair;
  pair.first.service.retry_after_ms = 60'000;  // taken as 5 s
  pair.first.service.Say({}, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the line is full"));
  for (int i = 0; i < 3; ++i) Fetch(pair.pool.get());
  EXPECT_EQ(pair.first.service.calls, 1);
  EXPECT_EQ(pair.pool->Known()[0].error, "") << "that is no fault";

  pair.second.service.retry_after_ms = 50;
  pair.second.service.Say({}, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "this one too"));
  std::string reasons;
  std::jthread later([&] {
    EXPECT_TRUE(Await([&] { return pair.second.service.calls >= 8; }));  // longer than any patience of this test
    pair.second.service.Say(GoodAnswer());
  });
  pair.pool->Fetch(Request(), CancelToken(), [&](const std::string& reason) { reasons += reason; });
  EXPECT_NE(reasons.find("this one too"), std::string::npos) << reasons;
}

TEST(EncoderPool, WaitingForOthersAtTheEncoderIsToldAndCountsAsNoWork) {
  Daemon daemon;
  daemon.service.tells_progress = daemon.service.holds = true;
  daemon.service.ahead = 3;
  EncoderPoolOptions options = Options({daemon.address()});
  options.limits.work = milliseconds(800);
  EncoderPool pool(options);
  std::vector<std::string> reasons;
  std::jthread later([&] {
    EXPECT_TRUE(Await([&] { return daemon.service.calls == 1; }));
    std::this_thread::sleep_for(milliseconds(2000));  // more than the time for work
    daemon.service.holds = false;
  });
  pool.Fetch(Request(), CancelToken(), [&](const std::string& reason) { reasons.push_back(reason); });
  ASSERT_FALSE(reasons.empty());
  EXPECT_EQ(reasons[0], "encoder " + daemon.address().ToString() + ": other prompts come first, about 3");
  later.join();

  daemon.service.holds = true;
  daemon.service.ahead = -1;  // it works, and does so for ever
  const Error error = FetchError(&pool);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(Contains(error, "no result within 0.8 s")) << error.what();
  daemon.service.holds = false;
}

TEST(EncoderPool, OneThatSaysForEverThatOthersComeFirstIsLeftForAnother) {
  Pair pair([](EncoderPoolOptions* options) { options->limits.longest_line = milliseconds(200); });
  pair.first.service.tells_progress = pair.first.service.holds = true;
  pair.first.service.ahead = INT32_MAX;
  pair.pool->Describe();
  EXPECT_NO_THROW(Fetch(pair.pool.get()));
  EXPECT_TRUE(Await([&] { return pair.first.service.saw_cancel.load(); }));
}

// It said that it tells its progress, and tells nothing: a stopped process does so, too.
TEST(EncoderPool, OneThatIsSilentIsLeftForAnother) {
  Pair pair([](EncoderPoolOptions* options) { options->limits.silence = milliseconds(300); });
  pair.first.service.tells_progress = true;
  pair.pool->Describe();
  pair.first.service.tells_progress = false;
  pair.first.service.holds = true;
  EXPECT_NO_THROW(Fetch(pair.pool.get()));
  EXPECT_TRUE(Await([&] { return pair.first.service.saw_cancel.load(); }));
}

TEST(EncoderPool, TimeOnOnePromptIsAskedOfTheNextToo) {
  Pair pair([](EncoderPoolOptions* options) { options->limits.work = milliseconds(300); });
  pair.first.service.holds = true;
  EXPECT_NO_THROW(Fetch(pair.pool.get()));
  EXPECT_NE(pair.pool->Known()[0].error.find("no result within 0.3 s"), std::string::npos)
      << pair.pool->Known()[0].error;
}

TEST(EncoderPool, AnEncoderThatDescribesItselfOutOfBoundsIsRefused) {
  Daemon daemon;
  daemon.service.width = -1;
  EncoderPool pool(Options({daemon.address()}));
  const EncoderPool::Report report = pool.Describe()[0];
  EXPECT_TRUE(report.refused);
  EXPECT_EQ(report.error, "it says width -1, which is not from 1 to 65536");
}

// The first that answers decides the model; when it is worth nothing, that must not shut out one that works.
TEST(EncoderPool, AnotherModelTakesOverFromOneThatNeverGaveRows) {
  Daemon liar;
  liar.service.Be('c');
  EncoderPoolOptions options = Options({liar.address()});
  Daemon good;
  options.encoders.push_back(good.address());
  good.Kill();
  EncoderPool pool(options);
  pool.Describe();
  ASSERT_EQ(pool.identity()->model_fingerprint, std::string(64, 'c'));
  good.Start();
  ASSERT_TRUE(Await([&] { return pool.Describe()[1].state == EncoderState::kRefused; }));
  liar.service.Say({}, grpc::Status(grpc::StatusCode::INTERNAL, "no rows"));
  EXPECT_NO_THROW(Fetch(&pool));
  EXPECT_EQ(pool.identity()->model_fingerprint, std::string(64, 'a'));
}

TEST(EncoderPool, TheHealthWatchFindsOneThatWorksAgain) {
  Daemon daemon;
  EncoderPool pool(Options({daemon.address()}));
  daemon.service.Say(Cut());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(FetchError(&pool).code(), ErrorCode::kDataLoss);
  daemon.service.Say(GoodAnswer());
  EXPECT_NO_THROW(Fetch(&pool));
}

TEST(EncoderPool, GivesEachOfTwoSlowOnesTheSameNumberOfCalls) {
  Pair pair;
  pair.first.service.holds = pair.second.service.holds = true;
  const std::vector<EncoderPool::Report> found = pair.pool->Describe();  // until both are up one is asked alone
  ASSERT_TRUE(found[0].reachable && found[1].reachable);
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([&] { EXPECT_NO_THROW(Fetch(pair.pool.get())); });
      EXPECT_TRUE(Await([&] { return pair.first.service.calls + pair.second.service.calls == i + 1; }));
      EXPECT_EQ(pair.first.service.calls, i / 2 + 1);
    }
    const std::vector<EncoderPool::Report> reports = pair.pool->Describe();
    EXPECT_EQ(reports[0].in_flight, 2);
    EXPECT_EQ(reports[1].in_flight, 2);
    EXPECT_EQ(pair.pool->Known()[0].in_flight, 2);
    EXPECT_EQ(pair.pool->Known()[0].address, reports[0].address);
    pair.first.service.holds = pair.second.service.holds = false;
  }
  EXPECT_EQ(pair.pool->Describe()[0].in_flight, 0);
}

TEST(EncoderPool, NeverAsksOneOfAnotherModelAndNamesBoth) {
  Daemon first;
  EncoderPoolOptions options = Options({first.address()});
  Daemon other;
  other.service.Be('c');
  options.encoders.push_back(other.address());
  other.Kill();
  EncoderPool pool(options);
  pool.Describe();
  EXPECT_EQ(pool.identity(), (EncoderIdentity{std::string(64, 'a'), std::string(64, 'b'), StateDtype::kBFloat16}));
  other.Start();
  ASSERT_TRUE(Await([&] { return pool.Describe()[1].state == EncoderState::kRefused; }));
  const EncoderPool::Report report = pool.Describe()[1];
  EXPECT_TRUE(report.refused);
  EXPECT_TRUE(report.reachable);
  EXPECT_EQ(report.error, "its model is cccccccccccc, this pool's is aaaaaaaaaaaa");

  first.service.holds = true;
  std::jthread caller([&] { EXPECT_NO_THROW(Fetch(&pool)); });
  EXPECT_TRUE(Await([&] { return first.service.calls == 1; }));
  first.service.holds = false;
  Fetch(&pool);
  EXPECT_EQ(other.service.calls, 0);
  caller.join();

  // With the right one away the wrong one does not take over, and the reason says why.
  first.Kill();
  const Error error = FetchError(&pool);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(Contains(error, "refused, its model is cccccccccccc, this pool's is aaaaaaaaaaaa")) << error.what();
  EXPECT_EQ(other.service.calls, 0);
}

TEST(EncoderPool, FailsWhenNoneHasTheConfiguredModel) {
  Daemon daemon;
  EncoderPoolOptions options = Options({daemon.address()});
  options.expected_model_fingerprint = std::string(64, 'c');
  EncoderPool pool(options);
  const Error error = FetchError(&pool);
  EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Contains(error, "its model is aaaaaaaaaaaa, this pool's is cccccccccccc")) << error.what();
  EXPECT_EQ(daemon.service.calls, 0);
}

TEST(EncoderPool, NoticesAModelThatWasReplacedSinceTheLastLook) {
  Pair pair;
  Fetch(pair.pool.get());
  pair.first.service.Be('c');
  EXPECT_EQ(Fetch(pair.pool.get()).conditioning.header.model_fingerprint, std::string(64, 'a'));
  EXPECT_TRUE(pair.pool->Describe()[0].refused);
  EXPECT_EQ(pair.second.service.calls, 1);
  pair.second.service.Be('c');
  EXPECT_EQ(Fetch(pair.pool.get()).conditioning.header.model_fingerprint, std::string(64, 'c'));
  EXPECT_EQ(pair.pool->identity()->model_fingerprint, std::string(64, 'c'));
  EXPECT_FALSE(pair.pool->Describe()[0].refused);
}

TEST(EncoderPool, RefusesRowsOfAnotherModelThanTheEncoderSaysItHas) {
  Daemon daemon;
  daemon.service.Say(GoodAnswer(Block(20, 48, 'c')));
  EncoderPool pool(Options({daemon.address()}));
  const Error error = FetchError(&pool);
  EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Contains(error, "cccccccccccc") && Contains(error, "aaaaaaaaaaaa")) << error.what();
}

// A typing error in --encoder must not cost the jobs that were accepted.
TEST(EncoderPool, WaitsWhereSomethingElseListensUntilThatIsPutRight) {
  for (const absl::Status& answer : {absl::UnimplementedError("no such service"), absl::PermissionDeniedError("no"),
                                     absl::UnauthenticatedError("no")}) {
    Daemon daemon;
    daemon.service.Be('a', answer);
    EncoderPoolOptions options = Options({daemon.address()});
    options.limits.unreachable_patience = milliseconds(0);
    EncoderPool pool(options);
    std::string first;
    pool.Fetch(Request(), CancelToken(), [&](const std::string& reason) {
      if (first.empty()) first = reason;
      daemon.service.Be('a');
    });
    EXPECT_EQ(first.find("encoder " + daemon.address().ToString() + ": "), 0u) << first;
  }
}

TEST(EncoderPool, WaitsForAsLongAsItTakesAndSaysWhatFor) {
  Daemon daemon;
  EncoderPoolOptions options = Options({daemon.address()});
  options.limits.unreachable_patience = milliseconds(0);
  EncoderPool pool(options);
  Fetch(&pool);
  daemon.Kill();
  daemon.service.Be('a', StillLoadingError("still loading"));
  std::vector<std::string> reasons;
  const std::string loading = "encoder " + daemon.address().ToString() + ": still loading";
  pool.Fetch(Request(), CancelToken(), [&](const std::string& reason) {
    reasons.push_back(reason);
    if (!daemon.runner) daemon.Start();
    if (reason != loading) return;
    std::this_thread::sleep_for(milliseconds(1100));  // the call that failed is long ago
    daemon.service.Be('a');
  });
  ASSERT_GE(reasons.size(), 3u);
  EXPECT_EQ(reasons[reasons.size() - 2], loading);
  EXPECT_EQ(reasons.back(), "") << "from then on it is encoded";
  for (size_t i = 1; i < reasons.size(); ++i) EXPECT_NE(reasons[i], reasons[i - 1]);
  EXPECT_EQ(daemon.service.calls, 2);
  EXPECT_TRUE(pool.identity());
}

TEST(EncoderPool, NeedsAnEncoder) { EXPECT_THROW(EncoderPool(Options({})), Error); }

}  // namespace
}  // namespace diptych
