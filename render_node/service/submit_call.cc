#include "render_node/service/submit_call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "render_node/service/service_status.h"

namespace diptych {
namespace {

constexpr std::chrono::milliseconds kRoomInterval(100);

int64_t Seconds(std::chrono::milliseconds time) { return time.count() / 1000; }

}  // namespace

SubmitCall::SubmitCall(const SubmitRoom& room, std::unique_ptr<SubmissionReader> submission,
                       grpc::CallbackServerContext* context, std::function<absl::Status(SubmissionReader&)> accept,
                       std::function<grpc::Status(const absl::Status&)> ended)
    : HeldCall(room.submits, *context),
      room_(room),
      context_(context),
      accept_(std::move(accept)),
      ended_with_(std::move(ended)),
      submission_(std::move(submission)),
      held_(room.uploads) {}

void SubmitCall::Begin() { ReadNext(); }

void SubmitCall::ReadNext() {
  last_read_ = Clock::now();
  reading_ = Reading::kUnderWay;
  SetIdle(true);
  WakeAt(std::min(last_read_ + room_.message_within, began_ + room_.whole_within));
  StartRead(&request_);
}

void SubmitCall::OnReadDone(bool ok) {
  SetIdle(false);
  reading_ = ok ? Reading::kMessage : Reading::kEnd;
  Wake();
}

void SubmitCall::Work() {
  try {
    const Reading reading = reading_;
    const Clock::time_point now = Clock::now();
    if (cancelled() || context_->IsCancelled()) return End(ClientHasLeft());
    if (reading != Reading::kEnd && gives_way()) {
      return End(absl::ResourceExhaustedError(
          "others need the room that this unfinished Submit holds, which has not moved for a second; try again"));
    }
    if (reading != Reading::kEnd && now >= began_ + room_.whole_within) {
      return End(absl::DeadlineExceededError(
          absl::StrCat("this Submit was not complete after ", Seconds(room_.whole_within), " s")));
    }
    switch (reading) {
      case Reading::kUnderWay: {
        if (now >= last_read_ + room_.message_within) {
          return End(absl::DeadlineExceededError(
              absl::StrCat("no message of this Submit came for ", Seconds(room_.message_within), " s")));
        }
        return WakeAt(std::min(last_read_ + room_.message_within, began_ + room_.whole_within));
      }
      case Reading::kMessage:
        return TakeMessage();
      case Reading::kEnd:
        return End(accept_(*submission_));
    }
  } catch (...) {
    End(StatusOfCurrentException());
  }
}

void SubmitCall::TakeMessage() {
  if (!HasRoom()) return;
  received_ += static_cast<int64_t>(request_.ByteSizeLong());
  if (absl::Status s = submission_->Add(request_); !s.ok()) return End(s);
  request_ = v1::SubmitRequest();  // its memory, too
  ReadNext();
}

bool SubmitCall::HasRoom() {
  // A block that grows is copied into one of twice the size.
  const int64_t needed = 2 * (received_ + static_cast<int64_t>(request_.ByteSizeLong()));
  if (held_.GrowTo(needed)) {
    SetIdle(false);
    SetHeldBytes(held_.bytes());
    return true;
  }
  if (needed > room_.uploads.bytes()) {
    End(absl::ResourceExhaustedError(absl::StrCat("a Submit of more than ", room_.uploads.bytes() / 2,
                                                  " bytes is not taken; a conditioning of fewer rows would be")));
    return false;
  }
  if (!idle_since()) SetIdle(true);
  all_.EvictForBytes(this);
  WakeAt(Clock::now() + kRoomInterval);
  return false;
}

void SubmitCall::End(const absl::Status& status) {
  MarkEnded();
  SetIdle(false);
  submission_.reset();
  held_.Release();
  Finish(ended_with_(status));
}

}  // namespace diptych
