// The states of a job, by which renderer, wire and clients mean the same.
#pragma once

#include <array>
#include <string_view>

namespace diptych {

// queued -> encoding -> ready -> rendering -> decoding -> done. Failed and cancelled from anywhere before; back to
// queued from any state in which work was under way (the daemon ended, or the attempt is to be made again).
enum class JobState {
  kQueued,
  kEncoding,
  kReady,
  kRendering,
  kDecoding,
  kDone,
  kFailed,
  kCancelled,
  kUnknown  // in the report of a newer renderer alone: no job of our own has it
};
inline constexpr std::array<JobState, 8> kJobStates = {JobState::kQueued,    JobState::kEncoding, JobState::kReady,
                                                       JobState::kRendering, JobState::kDecoding, JobState::kDone,
                                                       JobState::kFailed,    JobState::kCancelled};

bool IsTerminal(JobState state);                // done, failed, cancelled: nothing leads out
std::string_view JobStateName(JobState state);  // "queued", "encoding", ...; "unknown"
JobState ParseJobState(std::string_view name);  // of kJobStates; throws Error(kInvalidArgument)

}  // namespace diptych
