// One call of UploadInput: the bytes go to a file as they come.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "diptych/v1/render.grpc.pb.h"
#include "render_node/jobs/input_store.h"
#include "render_node/service/reading_call.h"

namespace diptych {

class UploadInputCall final : public ReadingCall<v1::UploadInputRequest> {
 public:
  // `check_room` throws when there is no room on the disk; may be empty. `host`: whose share of the store it takes.
  UploadInputCall(const ReadingRoom& room, InputStore& inputs, std::function<void()> check_room, std::string host,
                  grpc::CallbackServerContext* context, std::function<grpc::Status(const absl::Status&)> ended)
      : ReadingCall(room, context, std::move(ended)),
        inputs_(inputs),
        check_room_(std::move(check_room)),
        host_(std::move(host)) {}

 private:
  absl::Status Take(const v1::UploadInputRequest& message) override;
  absl::Status Accept() override;
  void Drop() override { upload_.reset(); }

  InputStore& inputs_;
  const std::function<void()> check_room_;
  const std::string host_;
  std::unique_ptr<InputUpload> upload_;
};

}  // namespace diptych
