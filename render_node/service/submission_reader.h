// What one Submit call sends, put together message by message and judged as early as can be.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/wire/conditioning_codec.h"
#include "diptych/v1/render.pb.h"
#include "render_node/jobs/job.h"
#include "render_node/jobs/operator_limits.h"
#include "render_node/jobs/uploaded_conditioning.h"
#include "render_node/pipeline/picture_renderer.h"

namespace diptych {

// A job that may be accepted: every limit of render.proto holds. The shift is set; so is the negative prompt where one
// is used, unless its conditioning was uploaded without saying what it is of.
struct ValidSubmission {
  JobSpec spec;
  UploadedConditioning uploaded;
};

// The first error ends the call: nothing of it may be used then. Not thread-safe.
class SubmissionReader {
 public:
  // `facts` must outlive the reader; an unset shift becomes that of the checkpoint.
  SubmissionReader(const RendererFacts& facts, int64_t prompt_byte_limit, const OperatorLimits& limits = {});

  //   INVALID_ARGUMENT     a message out of place, or a field of the spec out of range (named)
  //   FAILED_PRECONDITION  a header of conditioning that this DiT does not take, before any of its bytes is kept
  //   DATA_LOSS            an uploaded stream is broken
  absl::Status Add(const v1::SubmitRequest& request);

  // After the client's last message; once. Errors as above.
  absl::StatusOr<ValidSubmission> Finish();

 private:
  absl::Status AddSpec(const v1::JobSpec& message);
  absl::Status AddFrame(const v1::ConditioningFrame& frame, std::optional<ConditioningReceiver>* receiver);

  const RendererFacts& facts_;
  const int64_t prompt_byte_limit_;
  const OperatorLimits limits_;
  std::optional<JobSpec> spec_;
  std::optional<ConditioningReceiver> positive_;  // set once its stream has begun
  std::optional<ConditioningReceiver> negative_;
};

}  // namespace diptych
