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
#include "common/net/server_runner.h"
#include "common/wire/conditioning_codec.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"

namespace diptych {

using Answer = std::vector<v1::EncodeResponse>;

inline constexpr char kText[] = "formatted text";

inline Conditioning Block(int64_t rows = 20, int64_t width = 48) {
  Conditioning block;
  block.header = {.model_fingerprint = std::string(64, 'a'),
                  .tokenizer_fingerprint = std::string(64, 'b'),
                  .text_sha256 = Sha256Hex(kText),
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
  v1::EncodeRequest last_request() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_request_;
  }
  std::atomic<int64_t> waits_ms = 0;   // before it answers
  std::atomic<int> refuses_first = 0;  // so many calls answer UNAVAILABLE
  std::atomic<int> calls = 0;
  std::atomic<bool> saw_cancel = false;

  grpc::Status Encode(grpc::ServerContext* context, const v1::EncodeRequest* request,
                      grpc::ServerWriter<v1::EncodeResponse>* writer) override {
    Answer answer;
    grpc::Status status;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      last_request_ = *request;
      answer = answer_;
      status = status_;
    }
    if (++calls <= refuses_first) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "still loading");
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(waits_ms);
    while (std::chrono::steady_clock::now() < end) {
      if (context->IsCancelled()) {
        saw_cancel = true;
        return grpc::Status::CANCELLED;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    for (const v1::EncodeResponse& message : answer) writer->Write(message);
    return status;
  }

  grpc::Status Describe(grpc::ServerContext*, const v1::DescribeEncoderRequest*,
                        v1::DescribeEncoderResponse* response) override {
    response->set_model_fingerprint(std::string(64, 'a'));
    response->set_width(48);
    const std::lock_guard<std::mutex> lock(mutex_);
    return status_;
  }

 private:
  std::mutex mutex_;  // guards the three below
  Answer answer_ = GoodAnswer();
  grpc::Status status_ = grpc::Status::OK;
  v1::EncodeRequest last_request_;
};

struct Daemon {
  ScriptedEncoder service;
  std::unique_ptr<ServerRunner> runner =
      *ServerRunner::Start({"127.0.0.1", 0}, {{v1::Encoder::service_full_name(), &service}});
  Address address() const { return runner->address(); }
};

}  // namespace diptych
