// What a job does or waits for, in words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "coordinator/client/job.h"

namespace diptych {

int64_t UnixMsNow();

// Shorter than the seconds that a text is written in: nobody needs to be told of it. False for what is not known.
bool IsSoon(const std::optional<double>& ms);

// "40 s", "12 min", "2.5 h", "3 days".
std::string DurationText(double ms);
// "40s", "12m", "2.5h", "3d".
std::string BriefDuration(double ms);

// "14:02" of today, else "2026-11-30 14:02"; local time.
std::string ClockText(int64_t unix_ms, int64_t now_unix_ms);

// "paused by ada since 14:02"
std::string PauseText(const QueuePause& pause, int64_t now_unix_ms);

// "queued", "waiting for the painter", "rendering", ...
std::string StateText(const JobView& job);

// What a job waits for and when it may begin, as far as its report says: "3 ahead (2 of others), starts in about 40 s".
// Empty: it waits for nothing, or nobody knows.
std::string WaitText(const JobView& job, int64_t now_unix_ms);

// "queued (3 ahead, starts in about 40 s)", "decoding, tile 2 of 9, about 4 s left". Not of one that is painted.
std::string StateNote(const JobView& job, int64_t now_unix_ms);

}  // namespace diptych
