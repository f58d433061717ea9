// One call of Submit: reads what the client sends, and then has the job accepted.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "common/net/byte_room.h"
#include "common/net/held_call.h"
#include "diptych/v1/render.grpc.pb.h"
#include "render_node/service/submission_reader.h"

namespace diptych {

// What all calls of Submit share.
struct SubmitRoom {
  HeldCalls& submits;
  ByteRoom& uploads;  // what clients have sent of jobs that are not accepted yet
  std::chrono::milliseconds message_within;
  std::chrono::milliseconds whole_within;
};

// A client that is slow holds no thread, and only so much memory; one that has been silent for a second gives way to
// another that needs its place. Made by std::make_shared, begun by Begin.
class SubmitCall final : public HeldCall, public grpc::ServerReadReactor<v1::SubmitRequest> {
 public:
  // `accept` makes a job of it, on a thread of the pool; `ended` hears how it went, and says how the client does.
  SubmitCall(const SubmitRoom& room, std::unique_ptr<SubmissionReader> submission, grpc::CallbackServerContext* context,
             std::function<absl::Status(SubmissionReader&)> accept,
             std::function<grpc::Status(const absl::Status&)> ended);

  void Begin();

 private:
  void Work() override;
  void OnReadDone(bool ok) override;
  void OnCancel() override { Cancel(); }
  void OnDone() override { Leave(); }

  void TakeMessage();
  // False: others hold the room; it looks again soon, or the call has ended.
  bool HasRoom();
  void ReadNext();
  void End(const absl::Status& status);

  const SubmitRoom room_;
  grpc::CallbackServerContext* const context_;
  const std::function<absl::Status(SubmissionReader&)> accept_;
  const std::function<grpc::Status(const absl::Status&)> ended_with_;
  std::unique_ptr<SubmissionReader> submission_;
  ByteShare held_;
  v1::SubmitRequest request_;
  enum class Reading { kUnderWay, kMessage, kEnd };
  std::atomic<Reading> reading_ = Reading::kUnderWay;
  int64_t received_ = 0;  // bytes
  const Clock::time_point began_ = Clock::now();
  Clock::time_point last_read_ = began_;
};

}  // namespace diptych
