// What a renderer tells of a job on the wire, both ways: what one end writes is what the other reads.
#pragma once

#include "common/job/job_report.h"
#include "diptych/v1/job.pb.h"

namespace diptych {

v1::JobState ToProto(JobState state);    // UNSPECIFIED for kUnknown
JobState FromProto(v1::JobState state);  // kUnknown for a number that this version does not know

v1::JobTimings ToProto(const JobTimings& timings);
JobTimings FromProto(const v1::JobTimings& message);

v1::QueuePause ToProto(const QueuePause& pause);
QueuePause FromProto(const v1::QueuePause& message);

v1::QueuePlace ToProto(const QueuePlace& place);
QueuePlace FromProto(const v1::QueuePlace& message);

// All of the message but its spec. Nothing is looked at: who hears it judges ranges and texts.
v1::Job ToProto(const JobReport& report);
JobReport FromProto(const v1::Job& message);

}  // namespace diptych
