// What a renderer tells of a job beside what was asked for: what clients hear is what it meant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/job/job_state.h"

namespace diptych {

// Milliseconds; 0 where a stage has not run in this attempt. A step that several jobs took together counts whole in
// each: so long each of them took.
struct JobTimings {
  double queue_ms = 0;     // waiting to be encoded, in the first attempt, and then to be painted, in all
  double encode_ms = 0;    // as the encoder measured it, both prompts together
  double transfer_ms = 0;  // the conditioning calls less encode_ms
  double refine_ms = 0;    // caption embedder and context refiner; what a picture begins as, read and made ready
  std::vector<double> step_ms = {};
  double decode_ms = 0;  // VAE
  double png_ms = 0;     // PNG encoding
  double total_ms = 0;   // from acceptance to done

  // For another attempt: what was done is done anew, and the first wait is over.
  JobTimings WaitAlone() const {
    JobTimings timings;
    timings.queue_ms = queue_ms;
    return timings;
  }
  bool operator==(const JobTimings&) const = default;
};

// How a prompt's tokens became rows; fewer rows than tokens: the long-prompt mode cut or squeezed it.
struct PromptFit {
  int64_t token_count = 0;
  int64_t rows = 0;

  bool operator==(const PromptFit&) const = default;
};

// Of both prompts; unset until they were encoded, and where it is not known.
struct PromptFits {
  std::optional<PromptFit> prompt;
  std::optional<PromptFit> negative;

  bool operator==(const PromptFits&) const = default;
};

// Nobody begins a job until the queue is resumed.
struct QueuePause {
  std::string by;  // a client's name, or its host
  int64_t since_unix_ms = 0;

  bool operator==(const QueuePause&) const = default;
};

// Where a job waits, and why.
struct QueuePlace {
  int64_t jobs_ahead = 0;              // waiting or in work, and painted before it
  int64_t others_ahead = 0;            // of these those of other clients
  std::optional<double> wait_ms = {};  // until the painter may take it up; unset where nobody knows
  std::string held_up = {};            // what all jobs in work wait for; empty: they get on
  std::optional<QueuePause> pause = {};
  bool operator==(const QueuePlace&) const = default;
};

// A job's own words and figures; texts are the renderer's.
struct JobReport {
  std::string id;
  JobState state = JobState::kUnknown;
  int32_t step = 0;               // finished evaluations
  double sigma = 0;               // noise level after them, while it is painted
  std::optional<double> left_ms;  // for the steps that are left, while it is painted
  int32_t tiles_done = 0;         // of `tiles`, while it is decoded in tiles
  int32_t tiles = 0;
  std::optional<double> until_done_ms;  // until its picture is there, as far as the work before tells
  std::optional<QueuePlace> place;      // while it waits, where the renderer was asked for this job alone
  std::string error;                    // one line, when failed
  std::string error_code;               // a status name, e.g. "UNAVAILABLE"
  std::string detail;                   // what it waits for
  int64_t accepted_unix_ms = 0;
  int64_t finished_unix_ms = 0;  // 0: not yet
  int32_t attempt = 0;           // how often work on it was begun
  int64_t deadline_unix_ms = 0;  // 0: none
  JobTimings timings;
  PromptFits fits;
  int64_t sequence = 0;            // of this report; grows
  bool prompts_shortened = false;  // no more than their beginnings are told
  std::string picture_sha256;      // when done
  int64_t picture_bytes = 0;

  bool operator==(const JobReport&) const = default;
};

}  // namespace diptych
