#include "render_node/conditioning/caching_source.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "common/digest/sha256.h"
#include "common/log/log.h"
#include "common/prompt/chat_formatter.h"
#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kMany = int64_t{1} << 30;

EncoderIdentity Model(char digit) { return {std::string(64, digit), std::string(64, 'b'), StateDtype::kBFloat16}; }

FetchRequest Request(const std::string& user = "a cat") {
  FetchRequest request;
  request.prompt.user = user;
  request.row_limit = 1504;
  request.job_id = "job";
  return request;
}

bool Await(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

// Makes rows out of nothing, when the test lets it.
class FakeEncoders final : public ConditioningSource {
 public:
  std::atomic<int> calls = 0;
  std::atomic<bool> holds = false;
  std::atomic<bool> fails = false;  // calls that begin while this is set
  std::atomic<char> model = 'a';    // what its rows say
  std::atomic<bool> lies = false;   // its rows say that they are of another text

  FetchResult Fetch(const FetchRequest& request, const CancelToken& cancel,
                    const std::function<void(const std::string&)>& on_waiting) override {
    const bool will_fail = fails;
    ++calls;
    if (holds && on_waiting) on_waiting("encoder x: still loading");
    while (holds) {
      cancel.ThrowIfCancelled();
      std::this_thread::sleep_for(milliseconds(1));
    }
    if (will_fail) throw Error(ErrorCode::kDataLoss, "broken stream");
    FetchResult result;
    ConditioningHeader& header = result.conditioning.header;
    header.model_fingerprint = Model(model).model_fingerprint;
    header.tokenizer_fingerprint = Model(model).tokenizer_fingerprint;
    header.input_sha256 = Sha256Hex(lies ? "another text" : FormatPrompt(request.prompt));
    header.token_count = header.rows = 5;
    header.layer = request.layer;
    header.long_prompt_mode = request.long_prompt_mode;
    header.width = 4;
    result.conditioning.bytes.assign(40, static_cast<uint8_t>(request.prompt.user.size()));
    result.encode_ms = 7;
    return result;
  }
};

class CachingSourceTest : public testing::Test {
 protected:
  explicit CachingSourceTest(int64_t memory = kMany, int64_t disk = kMany) : memory_(memory), disk_(disk) { Restart(); }
  void Restart() {
    source_.reset();
    store_.reset();
    store_ = std::make_unique<ConditioningStore>(ConditioningStoreOptions{temporary_.path() / "s", memory_, disk_});
    source_ = std::make_unique<CachingSource>(
        CachingSourceParts{.encoders = encoders_,
                           .identity = [this] { return knows_identity_ ? std::optional(Model('a')) : std::nullopt; },
                           .store = *store_,
                           .expected_model_fingerprint = expected_,
                           .expected_width = 4,
                           .log = *MakeStreamLogger(log_, LogLevel::kWarning)});
  }
  FetchResult Fetch(const FetchRequest& request = Request(), const CancelToken& cancel = CancelToken()) {
    return source_->Fetch(request, cancel, nullptr);
  }

  std::ostringstream log_;
  const TemporaryFolder temporary_;
  const int64_t memory_, disk_;
  FakeEncoders encoders_;
  std::atomic<bool> knows_identity_ = true;
  std::string expected_;  // from the next Restart on
  std::unique_ptr<ConditioningStore> store_;
  std::unique_ptr<CachingSource> source_;
};

// Whatever checks the source has: what is kept is kept under what was asked for.
TEST_F(CachingSourceTest, KeepsNothingThatIsNotWhatWasAskedFor) {
  encoders_.lies = true;
  EXPECT_THROW(Fetch(), Error);
  EXPECT_EQ(store_->stats().entries, 0);
  encoders_.lies = false;
  EXPECT_FALSE(Fetch().from_store);
}

TEST_F(CachingSourceTest, TheSamePromptAgainNeedsNoEncoder) {
  EXPECT_FALSE(source_->Has(Request()));
  const FetchResult first = Fetch();
  EXPECT_FALSE(first.from_store);
  EXPECT_EQ(first.encode_ms, 7);
  EXPECT_TRUE(source_->Has(Request()));
  FetchRequest again = Request();
  again.job_id = "another job";
  const FetchResult second = Fetch(again);
  EXPECT_TRUE(second.from_store);
  EXPECT_EQ(second.encode_ms, 0);
  EXPECT_EQ(second.conditioning.header, first.conditioning.header);
  EXPECT_EQ(second.conditioning.bytes, first.conditioning.bytes);
  EXPECT_EQ(encoders_.calls, 1);
}

// The operator has named another model, whose encoder has not answered yet.
TEST_F(CachingSourceTest, WhatAnotherModelThanTheConfiguredOneMadeIsNotUsed) {
  Fetch();
  knows_identity_ = false;
  Restart();
  EXPECT_TRUE(source_->Has(Request()));
  expected_ = Model('z').model_fingerprint;
  Restart();
  EXPECT_FALSE(source_->Has(Request()));
  EXPECT_FALSE(Fetch().from_store);
  EXPECT_EQ(encoders_.calls, 2);
}

TEST_F(CachingSourceTest, AnythingElseIsAsked) {
  Fetch();
  EXPECT_FALSE(Fetch(Request("a dog")).from_store);
  FetchRequest request = Request();
  request.layer = -1;
  EXPECT_FALSE(source_->Has(request));
  EXPECT_FALSE(Fetch(request).from_store);
  EXPECT_EQ(encoders_.calls, 3);
}

TEST_F(CachingSourceTest, WhatIsStoredIsFoundWhileNoEncoderHasAnsweredSinceTheStart) {
  Fetch();
  knows_identity_ = false;
  Restart();
  EXPECT_TRUE(source_->Has(Request()));
  EXPECT_TRUE(Fetch().from_store);
  EXPECT_FALSE(source_->Has(Request("a dog")));
  EXPECT_EQ(encoders_.calls, 1);
}

TEST_F(CachingSourceTest, WithoutAnIdentityTheEncodersAreAsked) {
  knows_identity_ = false;
  EXPECT_FALSE(source_->Has(Request()));
  EXPECT_FALSE(Fetch().from_store);
  EXPECT_TRUE(source_->Has(Request())) << "now there is one";
  EXPECT_TRUE(Fetch().from_store);
}

TEST_F(CachingSourceTest, ADamagedFileIsComputedAnew) {
  Fetch();
  Restart();
  const std::string key = ConditioningKey(Request(), Model('a'));
  std::ofstream(temporary_.path() / "s" / key, std::ios::app) << "x";
  EXPECT_FALSE(Fetch().from_store);
  EXPECT_EQ(encoders_.calls, 2);
  EXPECT_EQ(store_->stats().damaged, 1);
  EXPECT_NE(log_.str().find(key + " is damaged"), std::string::npos) << log_.str();
  Restart();
  EXPECT_TRUE(Fetch().from_store);
}

TEST_F(CachingSourceTest, KeepsWhatCameUnderTheModelItCameFrom) {
  encoders_.model = 'c';  // replaced since the pool last looked
  EXPECT_EQ(Fetch().conditioning.header.model_fingerprint, std::string(64, 'c'));
  EXPECT_FALSE(store_->Has(ConditioningKey(Request(), Model('a'))));
  EXPECT_TRUE(store_->Has(ConditioningKey(Request(), Model('c'))));
  EXPECT_EQ(store_->identity(), Model('c'));
  EXPECT_FALSE(source_->Has(Request()));
}

TEST_F(CachingSourceTest, DoesNotUseRowsThatTheTransformerCannotTake) {
  FetchResult narrow = encoders_.Fetch(Request(), CancelToken(), nullptr);
  narrow.conditioning.header.width = 2;
  narrow.conditioning.bytes.resize(20);
  store_->Put(ConditioningKey(Request(), Model('a')), narrow.conditioning);
  EXPECT_FALSE(Fetch().from_store);
}

TEST_F(CachingSourceTest, LeavesAPromptWithoutATextToTheEncoder) {
  FetchRequest request = Request("\xff");
  EXPECT_FALSE(source_->Has(request));
  EXPECT_THROW(Fetch(request), Error);
  EXPECT_EQ(encoders_.calls, 1);
}

// One call under way and one that waits for it; both say what they wait for.
class CachingSourceOfTwo : public CachingSourceTest {
 protected:
  using CachingSourceTest::CachingSourceTest;
  struct Caller {
    CancelToken cancel;
    std::atomic<bool> told = false;
    std::optional<FetchResult> result;
    std::optional<ErrorCode> error;
    std::jthread thread;
  };
  void Start(Caller* caller) {
    caller->thread = std::jthread([this, caller] {
      try {
        caller->result = source_->Fetch(Request(), caller->cancel, [caller](const std::string& reason) {
          EXPECT_EQ(reason, "encoder x: still loading");
          caller->told = true;
        });
      } catch (const Error& error) {
        caller->error = error.code();
      }
    });
    ASSERT_TRUE(Await([&] { return caller->told.load(); }));
  }
  void StartBoth() {
    encoders_.holds = true;
    ASSERT_NO_FATAL_FAILURE(Start(&first_));
    ASSERT_NO_FATAL_FAILURE(Start(&second_));
    ASSERT_EQ(encoders_.calls, 1);
  }
  void JoinBoth() {
    first_.thread.join();
    second_.thread.join();
  }
  Caller first_, second_;
};

TEST_F(CachingSourceOfTwo, AskOnce) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  encoders_.holds = false;
  JoinBoth();
  ASSERT_TRUE(first_.result && second_.result);
  EXPECT_FALSE(first_.result->from_store);
  EXPECT_TRUE(second_.result->from_store);
  EXPECT_EQ(second_.result->conditioning.bytes, first_.result->conditioning.bytes);
  EXPECT_EQ(encoders_.calls, 1);
}

TEST_F(CachingSourceOfTwo, TheSecondAsksWhenTheFirstIsCancelled) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  first_.cancel.Cancel();
  EXPECT_TRUE(Await([&] { return encoders_.calls == 2; }));
  encoders_.holds = false;
  JoinBoth();
  EXPECT_EQ(first_.error, ErrorCode::kCancelled);
  ASSERT_TRUE(second_.result);
  EXPECT_FALSE(second_.result->from_store);
  EXPECT_EQ(encoders_.calls, 2);
}

TEST_F(CachingSourceOfTwo, TheSecondAsksWhenTheFirstFails) {
  encoders_.fails = true;
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  encoders_.fails = false;
  encoders_.holds = false;
  JoinBoth();
  EXPECT_EQ(first_.error, ErrorCode::kDataLoss);
  EXPECT_TRUE(second_.result);
  EXPECT_EQ(encoders_.calls, 2);
}

TEST_F(CachingSourceOfTwo, TheSecondCanBeCancelledAlone) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  second_.cancel.Cancel();
  second_.thread.join();
  EXPECT_EQ(second_.error, ErrorCode::kCancelled);
  encoders_.holds = false;
  first_.thread.join();
  EXPECT_TRUE(first_.result);
  EXPECT_EQ(encoders_.calls, 1);
}

class CachingSourceWithoutRoom : public CachingSourceOfTwo {
 protected:
  CachingSourceWithoutRoom() : CachingSourceOfTwo(0, 0) {}
};

TEST_F(CachingSourceWithoutRoom, OneResultServesBoth) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  encoders_.holds = false;
  JoinBoth();
  EXPECT_TRUE(first_.result && second_.result);
  EXPECT_EQ(encoders_.calls, 1);
  EXPECT_FALSE(source_->Has(Request()));
  EXPECT_FALSE(Fetch().from_store);
}

}  // namespace
}  // namespace diptych
