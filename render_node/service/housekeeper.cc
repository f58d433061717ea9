#include "render_node/service/housekeeper.h"

#include <chrono>
#include <utility>

#include "common/status/status.h"

namespace diptych {
namespace {

constexpr std::chrono::milliseconds kTick(100);  // how late a deadline may be noticed
constexpr double kSweepIntervalMs = 60'000;

}  // namespace

Housekeeper::Housekeeper(HousekeeperParts parts) : parts_(std::move(parts)), thread_([this] { Work(); }) {}

Housekeeper::~Housekeeper() { thread_.join(); }

void Housekeeper::Work() {
  double next_sweep_ms = parts_.clock.SteadyMs();
  do {
    const absl::Status done = Guard([&] {
      parts_.queue.FailOverdue();
      if (parts_.clock.SteadyMs() < next_sweep_ms) return;
      next_sweep_ms = parts_.clock.SteadyMs() + kSweepIntervalMs;
      const Swept swept =
          Sweep(parts_.store, parts_.pictures, parts_.conditioning, parts_.retention, parts_.clock.UnixMs());
      if (parts_.swept && swept.jobs + swept.files > 0) parts_.swept(swept);
      if (parts_.picture_bytes) parts_.picture_bytes(parts_.pictures.Bytes());
    });
    if (!done.ok() && parts_.failed) parts_.failed(done);
  } while (!parts_.queue.WaitForStop(kTick));
}

}  // namespace diptych
