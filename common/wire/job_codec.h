// A job's specification on the wire. The members of the picture follow its table (common/picture/picture_spec.h): each
// is the field of the same name of diptych.v1.JobSpec.
#pragma once

#include "absl/status/statusor.h"
#include "common/picture/job_spec.h"
#include "diptych/v1/job.pb.h"

namespace diptych {

v1::JobSpec ToProto(const JobSpec& spec);

// A field with presence that is not there is its default. Ranges are not looked at. INVALID_ARGUMENT naming the field
// for a choice that this version does not know, and for a prompt that prompt_codec.h refuses.
absl::StatusOr<JobSpec> FromProto(const v1::JobSpec& message);

}  // namespace diptych
