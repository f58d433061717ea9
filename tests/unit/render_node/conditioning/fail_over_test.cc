#include "render_node/conditioning/fail_over.h"

#include <grpcpp/client_context.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/net/grpc_status.h"
#include "common/wire/enums.h"
#include "gtest/gtest.h"
#include "render_node/conditioning/encoder_connection.h"
#include "render_node/conditioning/encoder_pool.h"
#include "tests/support/scripted_encoder.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int64_t kFirst = 48, kSecond = 64;  // widths, by which an answer shows whose it is

// Two that are up, so that the first is asked first. Looks come only when they are asked for.
struct Two {
  Two() {
    first.service.width = kFirst;
    second.service.width = kSecond;
    pool = std::make_unique<EncoderPool>(EncoderPoolOptions{.encoders = {first.address(), second.address()},
                                                            .limits = {.unreachable_patience = milliseconds(1)},
                                                            .check_interval = std::chrono::hours(1),
                                                            .first_pause = std::chrono::hours(1),
                                                            .longest_pause = std::chrono::hours(1)});
    pool->Describe();
  }
  EncoderState state(size_t encoder) { return pool->Known()[encoder].state; }

  Daemon first, second;
  std::unique_ptr<EncoderPool> pool;
};

// A call that is not Encode: Describe, and then what the test lets the encoder of that width say.
class Ask {
 public:
  std::map<int64_t, absl::Status> says = {};            // nothing: what it said itself
  std::function<void(int64_t width)> during = nullptr;  // while it is asked
  bool gives_rows = false;

  // What was asked and answered, in this order.
  std::vector<int64_t> Run(EncoderPool& pool, const CancelToken& cancel = CancelToken(),
                           const std::function<void(const std::string&)>& on_waiting = nullptr,
                           const EncoderCallLimits& limits = {.unreachable_patience = milliseconds(1)}) {
    std::vector<int64_t> asked;
    const auto call = [&](const EncoderConnection& encoder) -> absl::Status {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + seconds(20));
      v1::DescribeEncoderResponse answer;
      const absl::Status status = FromGrpcStatus(encoder.stub.Describe(&context, {}, &answer), context);
      asked.push_back(status.ok() ? answer.width() : 0);
      if (!status.ok()) return status;
      if (during) during(answer.width());
      if (const auto said = says.find(answer.width()); said != says.end()) return said->second;
      return encoder.CheckSent(
          {answer.model_fingerprint(), answer.tokenizer_fingerprint(), *FromProto(answer.dtype())});
    };
    pool.Call({.ask = call, .gives_rows = gives_rows}, limits, cancel, on_waiting);
    return asked;
  }

  Error Fails(EncoderPool& pool, const CancelToken& cancel = CancelToken()) {
    try {
      Run(pool, cancel);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "it was answered";
    return Error(ErrorCode::kInternal, "");
  }
};

using Asked = std::vector<int64_t>;

TEST(FailOver, AnyCallGoesToTheLivingOneWhenOneIsDead) {
  Two two;
  two.first.Kill();  // the pool thinks that it is up
  Ask ask;
  EXPECT_EQ(ask.Run(*two.pool), (Asked{0, kSecond}));
  EXPECT_EQ(two.state(0), EncoderState::kDown);
  EXPECT_EQ(ask.Run(*two.pool), Asked{kSecond}) << "it is known to be dead";

  two.second.Kill();
  const Error error = ask.Fails(*two.pool);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_NE(std::string(error.what()).find(two.second.address().ToString()), std::string::npos) << error.what();
}

TEST(FailOver, ABusyOneIsLeftAloneAndWaitedForOnlyWhenAllAre) {
  Two two;
  Ask ask;
  ask.says[kFirst] = RetryAfterError("the line is full", seconds(60));
  EXPECT_EQ(ask.Run(*two.pool), (Asked{kFirst, kSecond}));
  EXPECT_EQ(ask.Run(*two.pool), Asked{kSecond}) << "not before it said";
  EXPECT_EQ(two.pool->Known()[0].error, "") << "that is no fault";

  ask.says[kSecond] = RetryAfterError("this one too", milliseconds(50));
  std::string reasons;
  int calls = 0;
  ask.during = [&](int64_t) {
    if (++calls == 4) ask.says.clear();
  };
  ask.Run(*two.pool, CancelToken(), [&](const std::string& reason) { reasons += reason; });
  EXPECT_EQ(calls, 4);
  EXPECT_NE(reasons.find("this one too"), std::string::npos) << reasons;
}

TEST(FailOver, WhatOneRefusesAnotherMayAnswerAndWhatAllRefuseFails) {
  Two two;
  Ask ask;
  ask.says[kFirst] = absl::UnimplementedError("an older version");
  EXPECT_EQ(ask.Run(*two.pool), (Asked{kFirst, kSecond}));
  EXPECT_EQ(two.state(0), EncoderState::kUp);
  EXPECT_EQ(two.pool->Known()[0].error, "") << "it may well encode prompts";

  ask.says[kSecond] = absl::InvalidArgumentError("no such sampling");
  const Error error = ask.Fails(*two.pool);
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(std::string(error.what()).find("an older version"), std::string::npos) << error.what();
  EXPECT_NE(std::string(error.what()).find("no such sampling"), std::string::npos) << error.what();
}

TEST(FailOver, OnlyRowsBeginAndEndDoubt) {
  Two two;
  Ask rows, other;
  rows.gives_rows = true;
  rows.says[kFirst] = absl::NotFoundError("no rows here");
  EXPECT_EQ(rows.Run(*two.pool), (Asked{kFirst, kSecond}));
  EXPECT_NE(two.pool->Known()[0].error.find("in doubt"), std::string::npos);
  EXPECT_EQ(rows.Run(*two.pool), Asked{kSecond}) << "it is asked last";

  other.says[kSecond] = absl::UnimplementedError("an older version");
  EXPECT_EQ(other.Run(*two.pool), (Asked{kSecond, kFirst}));
  EXPECT_NE(two.pool->Known()[0].error.find("in doubt"), std::string::npos) << "still";
  EXPECT_EQ(two.pool->Known()[1].error, "");
}

TEST(FailOver, AnAnswerOfAnotherModelDoesNotCount) {
  Two two;
  two.first.service.Be('c');  // since it was looked at
  Ask ask;
  EXPECT_EQ(ask.Run(*two.pool), (Asked{kFirst, kSecond}));
  EXPECT_EQ(two.state(0), EncoderState::kRefused);
  EXPECT_EQ(two.pool->Known()[0].error, "its model is cccccccccccc, this pool's is aaaaaaaaaaaa");
}

TEST(FailOver, TheOneWithTheFewestCallsIsAskedWhateverTheCalls) {
  Two two;
  Ask outer, inner;
  Asked asked;
  outer.during = [&](int64_t width) {
    EXPECT_EQ(width, kFirst);
    EXPECT_EQ(two.pool->Known()[0].in_flight, 1);
    asked = inner.Run(*two.pool);
  };
  outer.Run(*two.pool);
  EXPECT_EQ(asked, Asked{kSecond});
  EXPECT_EQ(two.pool->Known()[0].in_flight + two.pool->Known()[1].in_flight, 0);
}

TEST(FailOver, WhatACallThrowsEndsItAndIsNoFaultOfTheEncoder) {
  Two two;
  Ask ask;
  ask.during = [](int64_t) { throw Error(ErrorCode::kDataLoss, "the asker's own"); };
  const Error error = ask.Fails(*two.pool);
  EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  EXPECT_EQ(std::string(error.what()), "the asker's own");
  EXPECT_EQ(two.pool->Known()[0].in_flight, 0);
  EXPECT_EQ(two.pool->Known()[0].error, "");
}

TEST(FailOver, CancellingEndsACallAndTheWaitForOne) {
  Two two;
  {
    Ask ask;
    const CancelToken cancel;
    ask.during = [&](int64_t width) {
      cancel.Cancel();
      ask.says[width] = absl::CancelledError("cancelled");
    };
    EXPECT_EQ(ask.Fails(*two.pool, cancel).code(), ErrorCode::kCancelled);
    EXPECT_EQ(two.pool->Known()[0].in_flight, 0);
    EXPECT_EQ(two.pool->Known()[0].error, "");
  }
  two.first.Kill();
  two.second.Kill();
  const CancelToken cancel;
  const auto start = steady_clock::now();
  try {
    Ask().Run(*two.pool, cancel, [&](const std::string&) { cancel.Cancel(); },
              {.unreachable_patience = milliseconds(0)});
    ADD_FAILURE() << "it was answered";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  EXPECT_LT(steady_clock::now() - start, seconds(20));
}

TEST(FailOver, ACallHasLimitsOfItsOwn) {
  Two two;
  two.first.Kill();
  two.second.Kill();
  const auto start = steady_clock::now();
  try {
    Ask().Run(*two.pool, CancelToken(), nullptr, {.unreachable_patience = milliseconds(600)});
    ADD_FAILURE() << "it was answered";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
  EXPECT_GE(steady_clock::now() - start, milliseconds(600));
}

}  // namespace
}  // namespace diptych
