#include "coordinator/cli/room_wait.h"

#include <optional>
#include <string>

#include "common/concurrency/cancellable_sleep.h"
#include "common/foreign_text/escape.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

}  // namespace

bool IsOutOfReach(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable || status.code() == absl::StatusCode::kDeadlineExceeded;
}

void RoomWait::Wait(const absl::Status& refusal, milliseconds delay) {
  if (!told_) {
    environment_.err << "diptych: waiting for room: " << EscapeText(std::string(refusal.message())) << std::endl;
  }
  told_ = true;
  SleepUnlessCancelled(delay, environment_.interrupt.token());
}

absl::StatusOr<Submission> RoomWait::Submit(const RenderClient& client, const PictureRequest& request) {
  while (true) {
    absl::StatusOr<Submission> answer = client.Submit(request);
    const std::optional<milliseconds> delay = RetryDelay(answer.status());
    if (!delay || environment_.interrupt.requested()) return answer;
    Wait(answer.status(), *delay);
    if (environment_.interrupt.requested()) return answer;
  }
}

}  // namespace diptych
