// A call in which the client sends messages and gets one answer. A client that is slow holds no thread; one that has
// been silent for a second gives way to another that needs its place.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/error/status.h"
#include "common/net/held_call.h"
#include "grpcpp/grpcpp.h"
#include "render_node/service/service_status.h"

namespace diptych {

// What all calls of one kind share.
struct ReadingRoom {
  HeldCalls& calls;
  std::string name;  // "Submit", for messages
  std::chrono::milliseconds message_within;
  std::chrono::milliseconds whole_within;
};

// Made by std::make_shared, begun by Begin.
template <typename Request>
class ReadingCall : public HeldCall, public grpc::ServerReadReactor<Request> {
 public:
  // `ended` hears how it went, and says how the client does.
  ReadingCall(ReadingRoom room, grpc::CallbackServerContext* context,
              std::function<grpc::Status(const absl::Status&)> ended)
      : HeldCall(room.calls, *context), room_(std::move(room)), context_(context), ended_with_(std::move(ended)) {}

  void Begin() { ReadNext(); }

 protected:
  // On a thread of the pool, one at a time. What they throw is the status of the call.

  // Whether there is room for the message; with WaitForRoom or End called before it says no.
  virtual bool HasRoom(const Request&) { return true; }
  virtual absl::Status Take(const Request& message) = 0;
  virtual absl::Status Accept() = 0;  // all messages are there
  virtual void Drop() = 0;            // the call has ended, with whatever status: nothing of it is needed any more

  // The same message is looked at again soon.
  void WaitForRoom() {
    if (!idle_since()) SetIdle(true);
    all_.EvictForBytes(this);
    WakeAt(Clock::now() + std::chrono::milliseconds(100));
  }

  void End(const absl::Status& status) {
    MarkEnded();
    SetIdle(false);
    Drop();
    this->Finish(ended_with_(status));
  }

 private:
  enum class Reading { kUnderWay, kMessage, kEnd };

  void ReadNext() {
    last_read_ = Clock::now();
    reading_ = Reading::kUnderWay;
    SetIdle(true);
    WakeAt(std::min(last_read_ + room_.message_within, began_ + room_.whole_within));
    this->StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    SetIdle(false);
    reading_ = ok ? Reading::kMessage : Reading::kEnd;
    Wake();
  }
  void OnCancel() override { Cancel(); }
  void OnDone() override { Leave(); }

  void Work() override {
    try {
      const Reading reading = reading_;
      const Clock::time_point now = Clock::now();
      if (cancelled() || context_->IsCancelled()) return End(ClientHasLeft());
      if (reading != Reading::kEnd && gives_way()) {
        return End(absl::ResourceExhaustedError(absl::StrCat("others need the room that this unfinished ", room_.name,
                                                             " holds, which has not moved for a second; try again")));
      }
      if (reading != Reading::kEnd && now >= began_ + room_.whole_within) {
        return End(absl::DeadlineExceededError(
            absl::StrCat("this ", room_.name, " was not complete after ", Seconds(room_.whole_within), " s")));
      }
      switch (reading) {
        case Reading::kUnderWay: {
          if (now >= last_read_ + room_.message_within) {
            return End(absl::DeadlineExceededError(
                absl::StrCat("no message of this ", room_.name, " came for ", Seconds(room_.message_within), " s")));
          }
          return WakeAt(std::min(last_read_ + room_.message_within, began_ + room_.whole_within));
        }
        case Reading::kMessage:
          return TakeMessage();
        case Reading::kEnd:
          return End(Accept());
      }
    } catch (...) {
      End(StatusOfCurrentException());
    }
  }

  void TakeMessage() {
    if (!HasRoom(request_)) return;
    if (absl::Status s = Take(request_); !s.ok()) return End(s);
    request_ = Request();  // its memory, too
    ReadNext();
  }

  static int64_t Seconds(std::chrono::milliseconds time) { return time.count() / 1000; }

  const ReadingRoom room_;
  grpc::CallbackServerContext* const context_;
  const std::function<grpc::Status(const absl::Status&)> ended_with_;
  Request request_;
  std::atomic<Reading> reading_ = Reading::kUnderWay;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point last_read_ = began_;
};

}  // namespace diptych
