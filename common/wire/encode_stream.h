// What an encoder says, checked against what its asker knows itself: of the model that it has, and of one prompt.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/conditioning/conditioning.h"
#include "common/prompt/encode_input.h"
#include "common/wire/conditioning_codec.h"
#include "diptych/v1/encoder.pb.h"

namespace diptych {

// FAILED_PRECONDITION naming the field, unless fingerprints are 64 lower-case hexadecimal digits, the number format is
// known, width, layers and the rest are within the limits of encoder.proto, and no text is longer than 200 bytes.
absl::Status CheckDescription(const v1::DescribeEncoderResponse& said);

// What was asked for, as far as the answer must agree with it.
struct EncodeExpectation {
  EncodeInput input;  // as this program makes it of the prompt
  int32_t layer = -2;
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;
  int64_t row_limit = 0;    // 0: none
  int64_t token_limit = 0;  // 0: none
  int64_t width = 0;        // 0: any
};

// One answer to Encode: progress if it was asked for, then info, then the conditioning stream. Not thread-safe.
class EncodeStream {
 public:
  explicit EncodeStream(EncodeExpectation expected);

  // As soon as a header is here it is compared: the rows of a wrong model need not be received.
  //   DATA_LOSS            the stream is broken; it is of another text, or of more or fewer rows than its text can have
  //   FAILED_PRECONDITION  rows of another width, another layer or mode, or more than were asked for
  // Progress says nothing about the rows: it is the caller's to read.
  absl::Status Add(const v1::EncodeResponse& response);

  // The block, once. DATA_LOSS when the stream ended early.
  absl::StatusOr<Conditioning> Finish() { return receiver_.Finish(); }

  bool has_info() const { return has_info_; }
  // As the encoder measured it, in a call of this length: what is no time, or longer, is not believed. A number that is
  // not finite would make a stored job unreadable.
  double EncodeMs(double call_ms) const { return encode_ms_ >= 0 ? std::min(encode_ms_, call_ms) : 0; }

 private:
  absl::Status AddInfo(const v1::EncodeInfo& info);
  absl::Status CheckHeader(const v1::ConditioningHeader& header) const;

  const EncodeExpectation expected_;
  const std::string input_sha256_;
  bool has_info_ = false;
  double encode_ms_ = 0;
  ConditioningReceiver receiver_;
};

}  // namespace diptych
