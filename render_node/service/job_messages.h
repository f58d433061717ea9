// Jobs as they are told and asked for on the wire.
#pragma once

#include "absl/status/statusor.h"
#include "common/wire/job_codec.h"
#include "common/wire/job_report_codec.h"
#include "diptych/v1/job.pb.h"
#include "render_node/jobs/job.h"
#include "render_node/jobs/job_queue.h"

namespace diptych {

// What is told of a job. Of the steps that are left, what those of this attempt took on average.
JobReport ReportOf(const Job& job, const JobQueue::Outlook& outlook = {});

// The report and the spec.
v1::Job ToProto(const Job& job, const JobQueue::Outlook& outlook = {});

// INVALID_ARGUMENT for UNSPECIFIED and for a number that this version does not know.
absl::StatusOr<JobState> StateAskedFor(v1::JobState state);

}  // namespace diptych
