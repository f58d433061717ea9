// Jobs in plain types <-> diptych/v1/job.proto.
#pragma once

#include "absl/status/statusor.h"
#include "common/wire/job_codec.h"
#include "diptych/v1/job.pb.h"
#include "render_node/jobs/job.h"
#include "render_node/jobs/job_queue.h"

namespace diptych {

v1::JobState ToProto(JobState state);
v1::JobTimings ToProto(const JobTimings& timings);
v1::Job ToProto(const Job& job);
v1::Job ToProto(const Job& job, const JobQueue::Outlook& outlook);
v1::QueuePause ToProto(const QueuePause& pause);
v1::QueuePlace ToProto(const JobQueue::Place& place);

// INVALID_ARGUMENT for UNSPECIFIED and for a number that this version does not know.
absl::StatusOr<JobState> FromProto(v1::JobState state);

}  // namespace diptych
