#include "coordinator/cli/wait_text.h"

#include <chrono>
#include <cmath>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/foreign_text/escape.h"

namespace diptych {
namespace {

constexpr double kMinute = 60'000, kHour = 60 * kMinute, kDay = 24 * kHour;

struct Duration {
  std::string number;
  const char* unit;
};

Duration Split(double ms) {
  ms = std::max(0.0, ms);
  if (ms < 100'000) return {absl::StrFormat("%.0f", ms / 1000), "s"};
  if (ms < 100 * kMinute) return {absl::StrFormat("%.0f", ms / kMinute), "min"};
  if (ms < 48 * kHour) return {absl::StrFormat(ms < 10 * kHour ? "%.1f" : "%.0f", ms / kHour), "h"};
  return {absl::StrFormat("%.0f", ms / kDay), "days"};
}

bool Waits(JobState state) {
  return state == JobState::kQueued || state == JobState::kEncoding || state == JobState::kReady;
}

}  // namespace

int64_t UnixMsNow() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool IsSoon(const std::optional<double>& ms) { return ms && *ms < 1000; }

std::string DurationText(double ms) {
  const Duration duration = Split(ms);
  return absl::StrCat(duration.number, " ", duration.unit);
}

std::string BriefDuration(double ms) {
  const Duration duration = Split(ms);
  return absl::StrCat(duration.number, std::string(1, duration.unit[0]));
}

std::string ClockText(int64_t unix_ms, int64_t now_unix_ms) {
  const std::time_t then = static_cast<std::time_t>(unix_ms / 1000), now = static_cast<std::time_t>(now_unix_ms / 1000);
  std::tm fields{}, today{};
  localtime_r(&then, &fields);
  localtime_r(&now, &today);
  const bool same_day = fields.tm_year == today.tm_year && fields.tm_yday == today.tm_yday;
  char text[40];
  return std::string(text, std::strftime(text, sizeof text, same_day ? "%H:%M" : "%Y-%m-%d %H:%M", &fields));
}

std::string PauseText(const QueuePause& pause, int64_t now_unix_ms) {
  return absl::StrCat("paused by ", EscapeText(pause.by), " since ", ClockText(pause.since_unix_ms, now_unix_ms));
}

std::string StateText(const JobView& job) {
  return job.state == JobState::kReady ? "waiting for the painter" : std::string(JobStateName(job.state));
}

std::string WaitText(const JobView& job, int64_t now_unix_ms) {
  std::vector<std::string> parts;
  if (!job.detail.empty()) parts.push_back(EscapeText(job.detail));
  if (!Waits(job.state)) return absl::StrJoin(parts, "; ");
  const double deadline_ms = static_cast<double>(job.deadline_unix_ms - now_unix_ms);
  bool too_late = false;
  if (job.place) {
    const QueuePlace& place = *job.place;
    if (place.pause) parts.insert(parts.begin(), absl::StrCat("the queue is ", PauseText(*place.pause, now_unix_ms)));
    if (job.detail.empty() && !place.held_up.empty()) parts.push_back(EscapeText(place.held_up));
    std::string turn;
    const bool is_next = place.jobs_ahead == 0 && IsSoon(place.wait_ms);
    if (job.state != JobState::kEncoding && !is_next) {
      turn = absl::StrCat(place.jobs_ahead, " ahead");
      if (place.others_ahead > 0) {
        absl::StrAppend(&turn, place.others_ahead == place.jobs_ahead
                                   ? " of others"
                                   : absl::StrCat(" (", place.others_ahead, " of others)"));
      }
    }
    if (place.wait_ms && !is_next && !IsSoon(place.wait_ms)) {
      absl::StrAppend(&turn, turn.empty() ? "" : ", ", "starts in about ", DurationText(*place.wait_ms));
      too_late = job.deadline_unix_ms > 0 && *place.wait_ms > deadline_ms;
    }
    if (!turn.empty()) parts.push_back(turn);
  }
  if (job.deadline_unix_ms > 0) {
    parts.push_back(
        absl::StrCat(too_late ? "its deadline comes before that, in " : "deadline in ", DurationText(deadline_ms)));
  }
  return absl::StrJoin(parts, "; ");
}

std::string StateNote(const JobView& job, int64_t now_unix_ms) {
  std::string text = StateText(job);
  if (job.state == JobState::kDecoding && job.tiles > 0) {
    absl::StrAppend(&text, ", tile ", job.tiles_done, " of ", job.tiles);
  }
  if (job.state == JobState::kDecoding && job.until_done_ms && !IsSoon(job.until_done_ms)) {
    absl::StrAppend(&text, ", about ", DurationText(*job.until_done_ms), " left");
  }
  const std::string reason = WaitText(job, now_unix_ms);
  return reason.empty() ? text : absl::StrCat(text, " (", reason, ")");
}

}  // namespace diptych
