#include "render_node/service/submission_reader.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <utility>

#include "common/conditioning/token_limit.h"
#include "common/error/error.h"
#include "common/error/status.h"
#include "render_node/jobs/job_parameters.h"
#include "render_node/service/job_messages.h"

namespace diptych {
namespace {

// An index that no encoder has is refused here; whether it is deep enough for this encoder only the encoder knows.
void CheckLayer(const std::string& field, int32_t layer) {
  try {
    CheckRange(members::kLayer, layer);
  } catch (const Error& error) {
    throw Error(error.code(), field + error.what());
  }
}

// Dynamic shifting is made for pictures around the size that the model was trained with; far beyond it explodes.
void CheckDynamicShift(const JobSpec& spec, const RendererFacts& facts) {
  if (spec.shift || !facts.dynamic_shift) return;
  const double shift = DefaultShift(facts, spec.width, spec.height);
  if (shift >= members::kShift.least && shift <= members::kShift.most) return;
  std::ostringstream text;
  text << "the checkpoint's dynamic shifting gives " << spec.width << "x" << spec.height << " the shift " << shift
       << ", which is not a number from " << members::kShift.least << " to " << members::kShift.most
       << "; state a shift";
  throw Error(ErrorCode::kInvalidArgument, text.str());
}

// What CheckConditioningFits looks at.
ConditioningHeader SizeOf(const v1::ConditioningHeader& message) {
  ConditioningHeader header;
  header.model_fingerprint = message.model_fingerprint();
  header.rows = message.rows();
  header.width = message.width();
  return header;
}

}  // namespace

SubmissionReader::SubmissionReader(const RendererFacts& facts, int64_t prompt_byte_limit, const OperatorLimits& limits)
    : facts_(facts), prompt_byte_limit_(prompt_byte_limit), limits_(limits) {}

absl::Status SubmissionReader::Add(const v1::SubmitRequest& request) {
  const auto which = request.request_case();
  if (which == v1::SubmitRequest::kSpec) return AddSpec(request.spec());
  if (which == v1::SubmitRequest::REQUEST_NOT_SET) {
    return absl::InvalidArgumentError("a message of Submit holds none of spec, conditioning, negative_conditioning");
  }
  if (!spec_) return absl::InvalidArgumentError("the first message of Submit must hold the spec");
  if (which == v1::SubmitRequest::kNegativeConditioning) {
    if (!positive_ || !positive_->complete()) {
      return absl::DataLossError("negative_conditioning: it comes before the conditioning stream has ended");
    }
    return AddFrame(request.negative_conditioning(), &negative_);
  }
  if (negative_) return absl::DataLossError("conditioning: a frame follows those of negative_conditioning");
  return AddFrame(request.conditioning(), &positive_);
}

absl::Status SubmissionReader::AddSpec(const v1::JobSpec& message) {
  if (spec_) return absl::InvalidArgumentError("spec came a second time; one call submits one job");
  absl::StatusOr<JobSpec> spec = FromProto(message);
  if (!spec.ok()) return spec.status();
  const absl::Status valid = Guard([&] {
    Settle(*spec);
    CheckDynamicShift(*spec, facts_);
    if (!spec->shift) spec->shift = DefaultShift(facts_, spec->width, spec->height);
    if (!spec->source.empty() && !facts_.no_encoder.empty()) {
      throw Error(ErrorCode::kFailedPrecondition, "source: " + facts_.no_encoder);
    }
    const RenderParameters parameters = RenderParametersOf(*spec, facts_);
    CheckRenderParameters(parameters, facts_);
    CheckAllowed(parameters, limits_);
    const bool may_be_uploaded = true;  // Finish knows
    ValidateSpec(*spec, may_be_uploaded, prompt_byte_limit_);
  });
  if (!valid.ok()) return valid;
  spec_ = *std::move(spec);
  return absl::OkStatus();
}

absl::Status SubmissionReader::AddFrame(const v1::ConditioningFrame& frame,
                                        std::optional<ConditioningReceiver>* receiver) {
  if (!*receiver) receiver->emplace();
  if (absl::Status s = (*receiver)->Add(frame); !s.ok()) return s;
  if (!frame.has_header()) return absl::OkStatus();
  return Guard([&] {
    const v1::ConditioningHeader& header = frame.header();
    CheckLayer("conditioning: ", header.layer());
    CheckConditioningFits(SizeOf(header), facts_);
    // Embeddings of unknown origin do not say how many tokens they are of: at least as many as rows.
    CheckTokenLimit(receiver == &negative_ ? "negative prompt" : "prompt",
                    std::max(header.token_count(), header.rows()), limits_.prompt_tokens);
  });
}

absl::StatusOr<ValidSubmission> SubmissionReader::Finish() {
  if (!spec_) {
    return absl::InvalidArgumentError("Submit ended without a spec that can be read: its first message must hold one");
  }
  UploadedConditioning uploaded;
  for (const auto& [receiver, block] :
       {std::pair(&positive_, &uploaded.positive), std::pair(&negative_, &uploaded.negative)}) {
    if (!*receiver) continue;
    absl::StatusOr<Conditioning> whole = (*receiver)->Finish();
    if (!whole.ok()) return whole.status();
    *block = *std::move(whole);
  }
  if (absl::Status s = Guard([&] { ValidateSpec(*spec_, uploaded.positive.has_value(), prompt_byte_limit_); });
      !s.ok()) {
    return s;
  }
  if (spec_->guidance_scale > 0 && uploaded.positive && !uploaded.negative) {
    return absl::InvalidArgumentError(
        "guidance_scale is above 0 and only the positive conditioning was uploaded: upload negative_conditioning too, "
        "or set guidance_scale to 0");
  }
  // Written down, so that the receipt can tell "the empty prompt" from "uploaded, prompt unknown".
  if (spec_->guidance_scale > 0 && !uploaded.negative && !spec_->negative) spec_->negative.emplace();
  return ValidSubmission{*std::move(spec_), std::move(uploaded)};
}

}  // namespace diptych
