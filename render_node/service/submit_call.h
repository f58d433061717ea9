// One call of Submit: reads what the client sends, and then has the job accepted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "common/net/byte_room.h"
#include "diptych/v1/render.grpc.pb.h"
#include "render_node/service/reading_call.h"
#include "render_node/service/submission_reader.h"

namespace diptych {

class SubmitCall final : public ReadingCall<v1::SubmitRequest> {
 public:
  // `uploads`: what clients have sent of jobs that are not accepted yet. `accept` makes a job of it, on a thread of the
  // pool.
  SubmitCall(const ReadingRoom& room, ByteRoom& uploads, std::unique_ptr<SubmissionReader> submission,
             grpc::CallbackServerContext* context, std::function<absl::Status(SubmissionReader&)> accept,
             std::function<grpc::Status(const absl::Status&)> ended)
      : ReadingCall(room, context, std::move(ended)),
        uploads_(uploads),
        accept_(std::move(accept)),
        submission_(std::move(submission)),
        held_(uploads) {}

 private:
  bool HasRoom(const v1::SubmitRequest& message) override;
  absl::Status Take(const v1::SubmitRequest& message) override;
  absl::Status Accept() override { return accept_(*submission_); }
  void Drop() override;

  ByteRoom& uploads_;
  const std::function<absl::Status(SubmissionReader&)> accept_;
  std::unique_ptr<SubmissionReader> submission_;
  ByteShare held_;
  int64_t received_ = 0;  // bytes
};

}  // namespace diptych
