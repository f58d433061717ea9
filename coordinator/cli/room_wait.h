// A renderer whose queue is full is asked again after the delay that it names.
#pragma once

#include <chrono>

#include "absl/status/statusor.h"
#include "coordinator/cli/environment.h"
#include "coordinator/client/render_client.h"

namespace diptych {

// Whether a call found nobody, so that the next one would not either.
bool IsOutOfReach(const absl::Status& status);

// For the jobs of one command: it says once on stderr that it waits.
class RoomWait {
 public:
  explicit RoomWait(Environment& environment) : environment_(environment) {}

  // Returns after `delay`, or as soon as the user interrupts. `refusal` is why there is no room.
  void Wait(const absl::Status& refusal, std::chrono::milliseconds delay);

  // Submits as often as it takes, until there is room or the user interrupts. Statuses are those of
  // RenderClient::Submit.
  absl::StatusOr<Submission> Submit(const RenderClient& client, const PictureRequest& request);

 private:
  Environment& environment_;
  bool told_ = false;
};

}  // namespace diptych
