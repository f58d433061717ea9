#include "render_node/service/upload_input_call.h"

namespace diptych {

absl::Status UploadInputCall::Take(const v1::UploadInputRequest& message) {
  if (message.has_head()) {
    if (upload_) return absl::InvalidArgumentError("head came a second time; one call uploads one input");
    if (check_room_) check_room_();
    upload_ = inputs_.Begin(message.head().sha256(), message.head().byte_count(), host_);
    return absl::OkStatus();
  }
  if (!upload_) return absl::InvalidArgumentError("the first message of UploadInput must hold the head");
  upload_->Add(message.data());
  return absl::OkStatus();
}

absl::Status UploadInputCall::Accept() {
  if (!upload_) return absl::InvalidArgumentError("UploadInput ended without a head; its first message must hold one");
  upload_->Finish();
  return absl::OkStatus();
}

}  // namespace diptych
