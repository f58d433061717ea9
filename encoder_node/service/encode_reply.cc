#include "encoder_node/service/encode_reply.h"

#include <utility>

namespace diptych {

void EncodeReply::Tell(const v1::EncodeProgress& progress) {
  v1::EncodeResponse word;
  *word.mutable_progress() = progress;
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return;
    if (writing_) {
      next_ = std::move(word);
      return;
    }
    writing_ = true;
    word_ = std::move(word);
  }
  StartWrite(&word_);
}

bool EncodeReply::Write(const v1::EncodeResponse& response) {
  {
    std::unique_lock lock(mutex_);
    next_.reset();
    AwaitIdle(lock);
    if (failed_) return false;
    writing_ = true;
  }
  StartWrite(&response);
  std::unique_lock lock(mutex_);
  AwaitIdle(lock);
  return !failed_;
}

void EncodeReply::End(const grpc::Status& status) {
  {
    std::unique_lock lock(mutex_);
    next_.reset();
    AwaitIdle(lock);
  }
  Finish(status);
}

void EncodeReply::OnWriteDone(bool ok) {
  {
    const std::lock_guard lock(mutex_);
    if (!ok) failed_ = true;
    if (failed_ || !next_) {
      writing_ = false;
      idle_.notify_all();
      return;
    }
    word_ = *std::exchange(next_, std::nullopt);
  }
  StartWrite(&word_);
}

// gRPC ends a write soon after its call was cancelled.
void EncodeReply::AwaitIdle(std::unique_lock<std::mutex>& lock) {
  const auto is_idle = [this] { return !writing_; };
  if (idle_.wait_for(lock, kStall, is_idle)) return;
  failed_ = true;
  lock.unlock();
  context_->TryCancel();
  lock.lock();
  idle_.wait(lock, is_idle);
}

}  // namespace diptych
