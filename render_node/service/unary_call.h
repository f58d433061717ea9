// One call with one answer.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <utility>

#include "common/net/byte_room.h"
#include "common/net/held_call.h"

namespace diptych {

// What all of them share.
struct AnswerRoom {
  HeldCalls& answers;
  ByteRoom& unread;  // what has been answered and not taken, beyond a little for each
  std::chrono::milliseconds taken_within;
};

// Its answer stays in memory until its client has taken it. A large one has a time for that, and gives way after a
// second to others that need its room; one for which there is no room becomes RESOURCE_EXHAUSTED. Made by
// std::make_shared, begun by Wake.
template <typename Response>
class UnaryCall final : public HeldCall, public grpc::ServerUnaryReactor {
 public:
  // `answer` fills the response, on a thread of the pool.
  UnaryCall(const AnswerRoom& room, grpc::CallbackServerContext* context, Response* response,
            std::function<grpc::Status()> answer)
      : HeldCall(room.answers, *context),
        context_(context),
        response_(response),
        answer_(std::move(answer)),
        unread_(room.unread),
        taken_within_(room.taken_within) {}

 private:
  static constexpr int64_t kFreeBytes = 16 << 10;  // that every call may leave unread

  void Work() override {
    grpc::Status status = cancelled() || context_->IsCancelled() ? grpc::Status::CANCELLED : answer_();
    const auto bytes = static_cast<int64_t>(status.ok() ? response_->ByteSizeLong() : 0);
    if (bytes > kFreeBytes && !unread_.GrowTo(2 * bytes)) {  // here, and packed in gRPC
      response_->Clear();
      all_.EvictForBytes(this);
      context_->AddTrailingMetadata("retry-after-ms", "1000");
      status = {grpc::StatusCode::RESOURCE_EXHAUSTED,
                "answers that wait to be read take all the room that there is; try again in 1 s"};
    }
    MarkEnded();
    if (unread_.bytes() > 0) {
      SetHeldBytes(unread_.bytes());
      SetIdle(true);
      last_ = Clock::now() + taken_within_;
      WakeAt(last_);
    }
    Finish(status);
  }
  void LetGo() override {
    const std::lock_guard lock(mutex_);
    if (!done_ && (gives_way() || Clock::now() >= last_)) context_->TryCancel();
  }
  void OnCancel() override { Cancel(); }
  void OnDone() override {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    Leave();
  }

  grpc::CallbackServerContext* const context_;
  Response* const response_;
  const std::function<grpc::Status()> answer_;
  ByteShare unread_;
  const std::chrono::milliseconds taken_within_;
  Clock::time_point last_ = Clock::time_point::max();
  std::mutex mutex_;
  bool done_ = false;  // gRPC's context is gone
};

}  // namespace diptych
