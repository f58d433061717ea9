#include "render_node/service/housekeeper.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/error/status.h"

namespace diptych {
namespace {

constexpr std::chrono::milliseconds kTick(100);  // how late a deadline may be noticed
constexpr double kSweepIntervalMs = 60'000;
constexpr double kReportIntervalMs = 60'000;  // of a failure that stays the same

}  // namespace

Housekeeper::Housekeeper(HousekeeperParts parts) : parts_(std::move(parts)), thread_([this] { Work(); }) {}

Housekeeper::~Housekeeper() { thread_.join(); }

void Housekeeper::Work() {
  double next_sweep_ms = parts_.clock.SteadyMs();
  absl::Status reported;
  double next_report_ms = 0;
  ClockTrust trust(parts_.clock.UnixMs(), next_sweep_ms);
  do {
    const absl::Status done = Guard([&] {
      parts_.queue.FailOverdue();
      parts_.queue.RenewLeases();
      if (parts_.clock.SteadyMs() < next_sweep_ms) return;
      next_sweep_ms = parts_.clock.SteadyMs() + kSweepIntervalMs;
      RetentionRules rules = parts_.retention;
      const ClockTrust::Answer clock = trust.Look(parts_.clock.UnixMs(), parts_.clock.SteadyMs());
      if (!clock.trusted) rules.age_ms = 0;
      if (clock.jumped_ms > 0 && parts_.failed) {
        parts_.failed(absl::FailedPreconditionError(
            absl::StrFormat("the clock was set forward by %.1f hours; for a day no job is forgotten for its age",
                            clock.jumped_ms / 3'600'000)));
      }
      const Swept swept = Sweep(parts_.store, parts_.pictures, parts_.conditioning, parts_.inputs, rules,
                                parts_.clock.UnixMs(), [&] { return parts_.queue.stopping(); });
      if (swept.more) next_sweep_ms = parts_.clock.SteadyMs();
      if (parts_.swept && swept.jobs + swept.files > 0) parts_.swept(swept);
      if (parts_.picture_bytes) parts_.picture_bytes(parts_.pictures.Bytes());
    });
    if (!done.ok() && parts_.failed && (done != reported || parts_.clock.SteadyMs() >= next_report_ms)) {
      reported = done;
      next_report_ms = parts_.clock.SteadyMs() + kReportIntervalMs;
      parts_.failed(done);
    }
  } while (!parts_.queue.WaitForStop(kTick));
}

}  // namespace diptych
