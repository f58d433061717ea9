// What the tests of this folder share: a folder that vanishes, a clock that obeys, chance that repeats, jobs and
// conditioning.
#pragma once

#include <stdlib.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/concurrency/clock.h"
#include "common/conditioning/conditioning.h"
#include "common/error/error.h"
#include "render_node/jobs/job_store.h"

namespace diptych {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "diptych_jobs_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class FakeClock final : public Clock {
 public:
  int64_t UnixMs() const override { return unix_ms; }
  double SteadyMs() const override { return steady_ms; }
  void Pass(int64_t ms) {
    unix_ms += ms;
    steady_ms = steady_ms + static_cast<double>(ms);
  }

  std::atomic<int64_t> unix_ms = 1'700'000'000'000;
  std::atomic<double> steady_ms = 0;
};

// splitmix64: the same numbers every time.
inline std::function<uint64_t()> RepeatableChance(uint64_t seed = 1) {
  return [state = seed]() mutable {
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  };
}

inline PromptParts PromptOf(const std::string& user) {
  PromptParts prompt;
  prompt.user = user;
  return prompt;
}

inline JobSpec SpecOf(const std::string& user, const std::string& client = "", int32_t priority = 0) {
  JobSpec spec;
  spec.prompt = PromptOf(user);
  spec.width = 64;
  spec.height = 32;
  spec.steps = 3;
  spec.seed = 7;
  spec.client = client;
  spec.priority = priority;
  return spec;
}

// Two daemons.
inline const LeaseOwner kOwner{"node a", "life 1"};
inline const LeaseOwner kOtherOwner{"node b", "life 1"};

// Moves a waiting job along the usual way until it is in `state`; one that has failed or was cancelled never began.
inline void MoveTo(JobStore& store, const std::string& id, JobState state, const JobProgress& progress = {}) {
  using enum JobState;
  if (state == kFailed || state == kCancelled) store.Transition({id}, kQueued, state, progress);
  if (state == kQueued || state == kFailed || state == kCancelled) return;
  store.Claim(id, kOwner, 1'700'000'000'000, 1000);
  JobState at = kEncoding;
  for (const JobState next : {kReady, kRendering, kDecoding, kDone}) {
    if (at == state) return;
    store.Transition({id}, at, next, progress);
    at = next;
  }
}

inline Conditioning ConditioningOf(uint8_t fill) {
  Conditioning conditioning;
  conditioning.header.model_fingerprint = std::string(64, 'a');
  conditioning.header.tokenizer_fingerprint = std::string(64, 'b');
  conditioning.header.input_sha256 = std::string(64, 'c');
  conditioning.header.token_count = 3;
  conditioning.header.long_prompt_mode = LongPromptMode::kPool;
  conditioning.header.dtype = StateDtype::kFloat32;
  conditioning.header.rows = 3;
  conditioning.header.width = 2;
  conditioning.bytes.assign(24, fill);
  return conditioning;
}

// How many jobs there are in each state; states without jobs are left out.
inline std::map<JobState, int64_t> CountByState(JobStore& store) {
  JobFilter all;
  all.limit = kMaxListLimit;
  std::map<JobState, int64_t> counts;
  for (const Job& job : store.List(all)) ++counts[job.state];
  return counts;
}

// The error that `work` throws; nullopt when it throws none.
template <typename Work>
std::optional<Error> ErrorOf(Work&& work) {
  try {
    std::forward<Work>(work)();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

inline bool Says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

}  // namespace diptych
