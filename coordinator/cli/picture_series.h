// The pictures of a plan, on their way through a renderer.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/environment.h"
#include "coordinator/cli/job_follower.h"
#include "coordinator/cli/private_run.h"
#include "coordinator/cli/room_wait.h"
#include "coordinator/client/render_client.h"
#include "coordinator/order/picture_plan.h"

namespace diptych {

// Puts pictures into the queue as long as there is room, waits for each in order, and puts in more whenever one is
// done. A picture that is refused or fails does so alone. Not thread-safe.
class PictureSeries {
 public:
  // Waits for the job of one picture and returns its report; throws Error with what it failed of.
  using Finish = std::function<nlohmann::ordered_json(size_t index, const std::string& id)>;

  // All outlive the series. `run` has the renderer; null: it is the user's, and its jobs outlive this command.
  PictureSeries(const PicturePlan& plan, const RenderClient& client, PrivateRun* run, CancelOnInterrupt& jobs,
                Environment& environment);

  // Once. Throws Error when the first picture finds nobody, and when the user interrupts. `report` (may be empty) is
  // told of each picture in order, as soon as it is done or known to fail: its report, or what it was and its error.
  void Make(const Finish& finish, const std::function<void(const nlohmann::ordered_json&)>& report);

  // Until all pictures are done, ms, as far as the renderer tells; `job` is the report of the one that is waited for.
  // Asks the renderer at most once a second.
  std::optional<double> AllLeftMs(const JobView& job);

  // Throws Error that counts the failures and says which jobs go on at a renderer that was lost.
  void ThrowUnlessAllAreDone() const;

 private:
  struct Picture {
    std::string id;                  // of its job; empty when it was not submitted
    std::string error;               // why there is none
    nlohmann::ordered_json failure;  // the same as JSON
    std::string state;               // of one that failed: "failed", "cancelled", "not_submitted", "unknown"
    nlohmann::ordered_json report;   // of one that was written
    bool goes_on = false;            // its job does, where we cannot follow it
  };

  void SubmitWhatThereIsRoomFor(size_t current);
  void FinishOne(size_t index, const Finish& finish);
  void Fail(size_t index, const std::string& state, const std::exception& error);
  nlohmann::ordered_json ReportOf(size_t index) const;
  std::optional<double> AskForTheLast(const JobView& job) const;
  void GiveUp(const std::string& reason);
  std::string NotSubmitted(const std::string& reason) const;
  void Warn(const std::string& text) const;

  const PicturePlan& plan_;
  const RenderClient& client_;
  PrivateRun* const run_;
  CancelOnInterrupt& jobs_;
  Environment& environment_;
  RoomWait room_;
  std::vector<Picture> pictures_;
  size_t next_ = 0;    // to be submitted
  bool lost_ = false;  // the renderer is out of reach, and its jobs go on
  std::string gone_;   // not empty: why nothing more can be had from the renderer
  size_t done_ = 0;    // pictures that were painted
  std::chrono::steady_clock::time_point begun_, asked_;
  std::optional<double> left_ms_;  // when the renderer was asked
};

}  // namespace diptych
