// What a client asks a renderer for: one picture, and labels that do not determine it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/picture/picture_spec.h"

namespace diptych {

struct JobLabels {
  std::string client = {};           // who asks, for fairness; may be empty
  int32_t priority = 0;              // larger is sooner, within one client
  std::string idempotency_key = {};  // chosen by the client: one key, one job; empty: none
  int64_t timeout_ms = 0;            // from acceptance to the picture; 0: none

  bool operator==(const JobLabels&) const = default;
};

struct JobSpec : PictureSpec, JobLabels {
  bool operator==(const JobSpec&) const = default;
};

inline constexpr size_t kMaxClientBytes = 64;
inline constexpr int32_t kMaxPriority = 100;  // and -100 at the least
inline constexpr size_t kMaxIdempotencyKeyBytes = 128;
inline constexpr int64_t kMaxTimeoutMs = int64_t{366} * 24 * 3600 * 1000;

// Throws Error(kInvalidArgument) unless it is a name that a client may have: UTF-8 without control characters, at most
// kMaxClientBytes; the empty one too.
void CheckClientName(const std::string& client);

// Throws Error(kInvalidArgument) naming the label, its value and the limits.
void CheckLabels(const JobLabels& labels);

}  // namespace diptych
