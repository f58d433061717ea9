// Conditioning <-> the frames of proto/diptych/v1/conditioning.proto, whose comment states the rules of a stream.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/conditioning/conditioning.h"
#include "common/digest/sha256.h"
#include "diptych/v1/conditioning.pb.h"

namespace diptych {

inline constexpr int64_t kMaxChunkBytes = int64_t{1} << 20;
inline constexpr int64_t kMaxConditioningRows = 65536;
inline constexpr int64_t kMaxConditioningTokens = int64_t{1} << 30;
inline constexpr int64_t kMaxConditioningWidth = 65536;
inline constexpr int64_t kMaxConditioningValues = int64_t{1} << 27;  // rows x width

// Hands the frames of one block to `write`, in order; `write` returns false when the other side has gone.
//   INVALID_ARGUMENT   the block is not consistent (CheckConditioning) or beyond the limits; nothing was written
//   CANCELLED          `write` returned false
absl::Status SendConditioning(const Conditioning& conditioning,
                              const std::function<bool(const v1::ConditioningFrame&)>& write);

// Puts one stream together. Memory grows with the bytes received, never ahead of them on the word of a header.
// The first error ends it: later calls repeat that error, and nothing of the stream can be had. Not thread-safe.
class ConditioningReceiver {
 public:
  //   INVALID_ARGUMENT   the header's values are out of range
  //   DATA_LOSS          any other broken rule
  absl::Status Add(const v1::ConditioningFrame& frame);

  // True once the trailer has confirmed the bytes.
  bool complete() const { return state_ == State::kComplete; }

  // The block, once. DATA_LOSS when the stream ended early.
  absl::StatusOr<Conditioning> Finish();

 private:
  enum class State { kExpectsHeader, kExpectsBytes, kComplete, kFailed };

  absl::Status AddHeader(const v1::ConditioningHeader& header);
  absl::Status AddChunk(const v1::ConditioningChunk& chunk);
  absl::Status AddTrailer(const v1::ConditioningTrailer& trailer);
  absl::Status Fail(absl::Status error);

  State state_ = State::kExpectsHeader;
  absl::Status error_;
  Conditioning conditioning_;
  Sha256 digest_;
};

}  // namespace diptych
