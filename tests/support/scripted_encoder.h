// An encoder daemon that says what the test tells it to say.
#pragma once

#include <grpcpp/server_context.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/digest/sha256.h"
#include "common/net/grpc_status.h"
#include "common/net/server_runner.h"
#include "common/prompt/chat_formatter.h"
#include "common/wire/conditioning_codec.h"
#include "common/wire/prompt_codec.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"

namespace diptych {

using Answer = std::vector<v1::EncodeResponse>;

// Stands for the text of whatever prompt is asked for: ScriptedEncoder puts that in its place.
inline constexpr char kText[] = "formatted text";

inline Conditioning Block(int64_t rows = 20, int64_t width = 48, char model = 'a') {
  Conditioning block;
  block.header = {.model_fingerprint = std::string(64, model),
                  .tokenizer_fingerprint = std::string(64, 'b'),
                  .input_sha256 = Sha256Hex(kText),
                  .token_count = rows,
                  .layer = -2,
                  .rows = rows,
                  .width = width};
  block.bytes.resize(static_cast<size_t>(block.header.ByteCount()));
  for (size_t i = 0; i < block.bytes.size(); ++i) block.bytes[i] = (i * 31 + i / 251) & 0xBF;  // finite
  return block;
}

// Info and a whole stream.
inline Answer GoodAnswer(const Conditioning& block = Block()) {
  Answer answer(1);
  answer[0].mutable_info()->set_formatted_text(kText);
  answer[0].mutable_info()->set_encode_ms(0.001);
  const absl::Status sent = SendConditioning(block, [&](const v1::ConditioningFrame& frame) {
    *answer.emplace_back().mutable_frame() = frame;
    return true;
  });
  EXPECT_TRUE(sent.ok()) << sent;
  return answer;
}

// Sends what the test says, right or wrong. A client may have gone before a call has ended here.
class ScriptedEncoder final : public v1::Encoder::Service {
 public:
  // From the next call on.
  void Say(Answer answer, const grpc::Status& status = grpc::Status::OK) {
    const std::lock_guard<std::mutex> lock(mutex_);
    answer_ = std::move(answer);
    status_ = status;
  }
  // The same for looks: what it is, and whether it says so.
  void Be(char model, const absl::Status& describe_status = absl::OkStatus()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (model != model_) answer_ = GoodAnswer(Block(20, 48, model));
    model_ = model;
    describe_status_ = describe_status;
  }
  v1::EncodeRequest last_request() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_request_;
  }
  std::atomic<int64_t> waits_ms = 0;   // before it answers
  std::atomic<bool> holds = false;     // it answers no call while this is set
  std::atomic<int> refuses_first = 0;  // so many calls answer UNAVAILABLE
  std::atomic<int> calls = 0;
  std::atomic<int64_t> width = 48;  // as it describes itself
  std::atomic<bool> saw_cancel = false;
  std::atomic<int64_t> retry_after_ms = 0;   // goes along with every status, unless 0
  std::atomic<bool> tells_progress = false;  // it describes itself so; and while it holds a call it says ...
  std::atomic<int32_t> ahead = 0;            // ... every 0.1 s that so many come first; negative: that it works

  grpc::Status Encode(grpc::ServerContext* context, const v1::EncodeRequest* request,
                      grpc::ServerWriter<v1::EncodeResponse>* writer) override {
    Answer answer;
    grpc::Status status;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      last_request_ = *request;
      answer = answer_;
      status = status_;
      const std::string& expected = request->expected_model_fingerprint();
      if (!expected.empty() && expected != std::string(64, model_)) {
        answer.clear();
        status = grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "another model is expected");
      }
    }
    if (++calls <= refuses_first) return ToGrpcStatus(StillLoadingError("still loading"), context);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(waits_ms);
    const auto begin = std::chrono::steady_clock::now();
    auto next_word = begin;
    while (holds || std::chrono::steady_clock::now() < end) {
      if (context->IsCancelled()) {
        saw_cancel = true;
        return grpc::Status::CANCELLED;
      }
      if (tells_progress && request->tell_progress() && std::chrono::steady_clock::now() >= next_word) {
        next_word += std::chrono::milliseconds(100);
        v1::EncodeResponse progress;
        progress.mutable_progress()->set_working(ahead < 0);
        const auto since = std::chrono::steady_clock::now() - begin;
        if (ahead < 0) {
          progress.mutable_progress()->set_worked_ms(
              std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
        }
        if (ahead >= 0) progress.mutable_progress()->set_ahead(ahead);
        writer->Write(progress);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    if (retry_after_ms > 0) context->AddTrailingMetadata("retry-after-ms", std::to_string(retry_after_ms));
    const std::string asked = FormatPrompt(*FromProto(request->prompt()));
    for (v1::EncodeResponse& message : answer) {
      if (message.info().formatted_text() == kText) message.mutable_info()->set_formatted_text(asked);
      if (message.frame().header().text_sha256() == Sha256Hex(kText)) {
        message.mutable_frame()->mutable_header()->set_text_sha256(Sha256Hex(asked));
      }
      writer->Write(message);
    }
    return status;
  }

  grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeEncoderRequest*,
                        v1::DescribeEncoderResponse* response) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    response->set_model_fingerprint(std::string(64, model_));
    response->set_tokenizer_fingerprint(std::string(64, 'b'));
    response->set_dtype(v1::STATE_DTYPE_BFLOAT16);
    response->set_width(width);
    response->set_tells_progress(tells_progress);
    return ToGrpcStatus(describe_status_, context);
  }

 private:
  std::mutex mutex_;  // guards all below
  char model_ = 'a';
  Answer answer_ = GoodAnswer();
  grpc::Status status_ = grpc::Status::OK;
  absl::Status describe_status_;
  v1::EncodeRequest last_request_;
};

struct Daemon {
  explicit Daemon(const Address& where = {"127.0.0.1", 0}) : first_address(where) { Start(); }
  ScriptedEncoder service;
  std::unique_ptr<ServerRunner> runner;
  Address address() const { return first_address; }

  // As a crash would, and a start at the same address.
  void Kill() { runner.reset(); }
  void Start() {
    runner = *ServerRunner::Start(first_address, {{v1::Encoder::service_full_name(), &service}});
    first_address = runner->address();
  }
  Address first_address;
};

}  // namespace diptych
