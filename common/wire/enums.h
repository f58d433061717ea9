// The choices of the domain <-> their numbers on the wire.
#pragma once

#include "absl/status/statusor.h"
#include "common/conditioning/conditioning.h"
#include "diptych/v1/conditioning.pb.h"

namespace diptych {

v1::StateDtype ToProto(StateDtype dtype);
v1::LongPromptMode ToProto(LongPromptMode mode);

// INVALID_ARGUMENT for UNSPECIFIED and for a number that this version does not know.
absl::StatusOr<StateDtype> FromProto(v1::StateDtype dtype);

// UNSPECIFIED is kInterpolate. INVALID_ARGUMENT for a number that this version does not know.
absl::StatusOr<LongPromptMode> FromProto(v1::LongPromptMode mode);

}  // namespace diptych
