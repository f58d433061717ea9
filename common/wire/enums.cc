#include "common/wire/enums.h"

#include "absl/strings/str_cat.h"
#include "common/error/error.h"

namespace diptych {

v1::StateDtype ToProto(StateDtype dtype) {
  return dtype == StateDtype::kBFloat16 ? v1::STATE_DTYPE_BFLOAT16 : v1::STATE_DTYPE_FLOAT32;
}

v1::LongPromptMode ToProto(LongPromptMode mode) {
  switch (mode) {
    case LongPromptMode::kTruncate: return v1::LONG_PROMPT_MODE_TRUNCATE;
    case LongPromptMode::kInterpolate: return v1::LONG_PROMPT_MODE_INTERPOLATE;
    case LongPromptMode::kPool: return v1::LONG_PROMPT_MODE_POOL;
    case LongPromptMode::kAttentionPool: return v1::LONG_PROMPT_MODE_ATTENTION_POOL;
  }
  throw Error(ErrorCode::kInternal, "long-prompt mode out of range");
}

absl::StatusOr<StateDtype> FromProto(v1::StateDtype dtype) {
  switch (dtype) {
    case v1::STATE_DTYPE_BFLOAT16: return StateDtype::kBFloat16;
    case v1::STATE_DTYPE_FLOAT32: return StateDtype::kFloat32;
    default: break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("conditioning dtype number ", static_cast<int>(dtype), " is not one of 1 (bfloat16), 2 (float32)"));
}

absl::StatusOr<LongPromptMode> FromProto(v1::LongPromptMode mode) {
  switch (mode) {
    case v1::LONG_PROMPT_MODE_TRUNCATE: return LongPromptMode::kTruncate;
    case v1::LONG_PROMPT_MODE_UNSPECIFIED:
    case v1::LONG_PROMPT_MODE_INTERPOLATE: return LongPromptMode::kInterpolate;
    case v1::LONG_PROMPT_MODE_POOL: return LongPromptMode::kPool;
    case v1::LONG_PROMPT_MODE_ATTENTION_POOL: return LongPromptMode::kAttentionPool;
    default: break;
  }
  return absl::InvalidArgumentError(absl::StrCat("long-prompt mode number ", static_cast<int>(mode),
                                                 " is not one of 1 (truncate), 2 (interpolate), 3 (pool), 4 "
                                                 "(attention_pool)"));
}

}  // namespace diptych
