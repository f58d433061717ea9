// A job: one picture to make. Its states, what was asked, and how far it is. Mirrors diptych/v1/job.proto in plain
// types.
#pragma once

#include <cstdint>
#include <string>

#include "common/conditioning/conditioning.h"
#include "common/job/job_report.h"
#include "common/job/job_state.h"
#include "common/picture/job_spec.h"

namespace diptych {

bool IsLegal(JobState from, JobState to);  // of kJobStates

// Throws Error(kInvalidArgument) naming the field, unless: the prompt is there or conditioning was uploaded; every text
// is UTF-8; neither prompt is longer than `prompt_byte_limit`, all its parts together; a conversation stands alone;
// numbers and labels are within their ranges. What more a size must be is the renderer's to judge
// (CheckRenderParameters), how deep the layer may be the encoder's.
void ValidateSpec(const JobSpec& spec, bool conditioning_uploaded, int64_t prompt_byte_limit);

// Ends of the daemon while it worked on a job, counted as long as the job gets no further between them.
struct JobCrashes {
  int32_t count = 0;
  int32_t step = 0;  // finished steps at the last of them

  bool operator==(const JobCrashes&) const = default;
};

struct Job {
  std::string id;  // sorts by time of acceptance
  JobState state = JobState::kQueued;
  JobSpec spec;
  int32_t step = 0;        // finished steps
  double sigma = 0;        // after them; 0 unless the job is painted now
  int32_t tiles_done = 0;  // of `tiles`, while it is decoded in tiles; not stored
  int32_t tiles = 0;
  std::string error;       // one line; set when failed
  std::string error_code;  // the status name of the failure, e.g. "UNAVAILABLE"
  std::string detail;      // what it is waiting for, when that is known
  int64_t accepted_unix_ms = 0;
  int64_t finished_unix_ms = 0;  // 0 until a terminal state
  JobTimings timings;
  PromptFits fits;
  int32_t attempt = 0;           // how often work on it was begun
  int64_t deadline_unix_ms = 0;  // 0: none
  std::string picture;           // name in the PictureStore; set when done
  int64_t picture_bytes = 0;
  JobCrashes crashes;
  int64_t sequence = 0;            // grows with every change that a watcher sees, also over the daemon's lives
  bool prompts_shortened = false;  // the spec has no more than the beginnings of its prompts (ShortenPrompts)
};

// Of a waiting job: what it is once work on it has begun at `now_unix_ms`, whichever store keeps it.
void BeginAttempt(Job& job, int64_t now_unix_ms);

// What painting costs beside other pictures of the same renderer, without a unit: pixels times evaluations of the
// network, the decoder counted as two.
inline double PictureWork(int32_t width, int32_t height, int32_t steps, double guidance_scale) {
  return static_cast<double>(width) * height * (static_cast<double>(steps) * (guidance_scale > 0 ? 2 : 1) + 2);
}
inline double WorkOf(const JobSpec& spec) {
  return PictureWork(spec.width, spec.height, spec.Evaluations(), spec.guidance_scale);
}

// What the prompts of a job cost an encoder beside others, without a unit: their bytes, and as many for the template of
// each as it has about.
double EncodeWorkOf(const JobSpec& spec);

// Of all texts of both prompts.
int64_t PromptBytes(const JobSpec& spec);

// What lists show of a prompt, and what is kept of the prompts of a job that ended without a picture: the first bytes
// of all its parts together, whole characters. True when anything was left out.
inline constexpr size_t kShownPromptBytes = 4096;
bool ShortenPrompts(JobSpec& spec);
// Of one prompt, all its parts together.
inline constexpr double kTemplateBytes = 64;

// As much of a waiting job as the order of work, and the guess when it begins, depend on.
struct QueuedJob {
  std::string id;
  std::string client;
  int32_t priority = 0;
  int64_t deadline_unix_ms = 0;  // 0: none
  bool begun = false;            // work on it was interrupted: it comes before the other jobs of its client
  bool suspect = false;          // the daemon ended while it worked on it: it is encoded alone until it gets further
  bool stored = false;           // its conditioning is at hand: it needs no encoder
  double work = 1;               // PictureWork, for estimates
  double encode_work = 0;        // EncodeWorkOf, as if nothing were at hand
  std::string host = {};         // that it came from; empty: not known
  int64_t bytes = 0;             // of its prompts and uploads on the disk

  bool operator==(const QueuedJob&) const = default;
};

}  // namespace diptych
