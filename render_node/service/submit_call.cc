#include "render_node/service/submit_call.h"

#include "absl/strings/str_cat.h"

namespace diptych {

bool SubmitCall::HasRoom(const v1::SubmitRequest& message) {
  // A block that grows is copied into one of twice the size.
  const int64_t needed = 2 * (received_ + static_cast<int64_t>(message.ByteSizeLong()));
  if (held_.GrowTo(needed)) {
    SetIdle(false);
    SetHeldBytes(held_.bytes());
    return true;
  }
  if (needed > uploads_.bytes()) {
    End(absl::ResourceExhaustedError(absl::StrCat("a Submit of more than ", uploads_.bytes() / 2,
                                                  " bytes is not taken; a conditioning of fewer rows would be")));
  } else {
    WaitForRoom();
  }
  return false;
}

absl::Status SubmitCall::Take(const v1::SubmitRequest& message) {
  received_ += static_cast<int64_t>(message.ByteSizeLong());
  return submission_->Add(message);
}

void SubmitCall::Drop() {
  submission_.reset();
  held_.Release();
}

}  // namespace diptych
