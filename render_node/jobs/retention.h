// How long what has ended is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "render_node/jobs/input_store.h"
#include "render_node/jobs/job_store.h"
#include "render_node/jobs/picture_store.h"
#include "render_node/jobs/uploaded_conditioning.h"

namespace diptych {

// 0: no such limit.
struct RetentionRules {
  int64_t age_ms = 0;  // since the end of a job
  int64_t jobs = 0;    // that have ended
  int64_t bytes = 0;   // of all pictures and prompts together
};

// Which of these jobs, newest end first, the rules forget: those that are too old; then, as long as the rest is too
// many or too large, the oldest of the host that has most, so that nobody's pictures go for what others send.
std::vector<std::string> Expired(const std::vector<EndedJob>& newest_first, const RetentionRules& rules,
                                 int64_t now_unix_ms);

struct Swept {
  int64_t jobs = 0;
  int64_t files = 0;
  bool more = false;  // there was more to forget than kForgottenInOneGo
};

// Forgets what has expired, and removes the files that no job refers to and that nobody wrote within the last
// kSparedMinutes: a file comes before the row that names it. Throws Error when the store fails.
inline constexpr int64_t kSparedMinutes = 10;
inline constexpr int64_t kForgottenInOneGo = 1000;  // jobs
Swept Sweep(
    JobStore& store, PictureStore& pictures, ConditioningFiles& conditioning, InputStore& inputs,
    const RetentionRules& rules, int64_t now_unix_ms, const std::function<bool()>& stopping = [] { return false; });

// Whether ages can be told: a clock that was set forward makes everything old. Not thread-safe.
class ClockTrust {
 public:
  ClockTrust(int64_t unix_ms, double steady_ms);

  struct Answer {
    bool trusted = true;   // false for a day after a jump, for somebody to find out that the clock is wrong
    double jumped_ms = 0;  // set forward since the last look, when by more than an hour
  };
  Answer Look(int64_t unix_ms, double steady_ms);

 private:
  double offset_ms_;
  double trusted_from_ms_;  // steady
};

}  // namespace diptych
