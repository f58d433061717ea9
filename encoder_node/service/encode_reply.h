// The answer to one Encode call, written from the thread that works on it.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "common/concurrency/cancel_token.h"
#include "diptych/v1/encoder.grpc.pb.h"

namespace diptych {

// gRPC's from the handler's return until End has run. A client that reads nothing costs a worker that has its result
// kStall at most, and one that works nothing: what it tells of its progress it only leaves here.
class EncodeReply final : public grpc::ServerWriteReactor<v1::EncodeResponse> {
 public:
  static constexpr std::chrono::seconds kStall{20};

  explicit EncodeReply(grpc::CallbackServerContext* context) : context_(context) {}

  const CancelToken& gone() const { return gone_; }  // set once the client is

  // Never blocks; of several words that wait for an earlier one the last is sent.
  void Tell(const v1::EncodeProgress& progress);

  // Blocks until the message is on its way. False: the client has gone, or has read nothing for kStall.
  bool Write(const v1::EncodeResponse& response);

  // The last call; the object is gone then.
  void End(const grpc::Status& status);

 private:
  void OnWriteDone(bool ok) override;
  void OnCancel() override { gone_.Cancel(); }
  void OnDone() override { delete this; }
  void AwaitIdle(std::unique_lock<std::mutex>& lock);

  grpc::CallbackServerContext* const context_;
  const CancelToken gone_;
  std::mutex mutex_;  // guards all below
  std::condition_variable idle_;
  bool writing_ = false;
  bool failed_ = false;
  v1::EncodeResponse word_;                 // on its way
  std::optional<v1::EncodeResponse> next_;  // behind it
};

}  // namespace diptych
