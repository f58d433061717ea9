// One Encode call to one encoder, from request to checked conditioning.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/concurrency/cancel_token.h"
#include "common/prompt/encode_input.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "render_node/conditioning/conditioning_source.h"
#include "render_node/conditioning/encode_clock.h"

namespace diptych {

v1::EncodeRequest ToProto(const FetchRequest& request);

struct EncodeCallOptions {
  EncodeInput input;           // of the request's prompt, as this program makes it
  int64_t expected_width = 0;  // 0: any
  EncodeClock::Terms terms;
  // What the encoder tells of its progress, on the calling thread: about how many prompts have their turn before this
  // one; nothing: it is at work. May be empty; may throw, which ends the call.
  std::function<void(std::optional<int32_t> ahead)> on_progress = {};
  // Asked with every word of progress, and how long the prompt has waited: whether to leave it there. May be empty.
  std::function<bool(bool working, EncodeClock::Duration waited)> leaves = {};
};

// Blocks until the stream has ended. What arrived is compared with the request and the options (common/wire/
// encode_stream.h, whose statuses these are), and:
//   DEADLINE_EXCEEDED    it worked for longer than the terms say
//   UNAVAILABLE          it has gone silent
//   RESOURCE_EXHAUSTED   with BusyFor: it asks to come again, or its line was left
//   CANCELLED            `cancel` was cancelled, which ends the call at once
//   anything else        as the encoder or gRPC said
absl::StatusOr<FetchResult> CallEncode(v1::Encoder::StubInterface* encoder, const v1::EncodeRequest& request,
                                       const EncodeCallOptions& options, const CancelToken& cancel);

// How long a busy encoder wants to be left alone, from 50 ms to 5 s; nothing for another status.
std::optional<EncodeClock::Duration> BusyFor(const absl::Status& status);

}  // namespace diptych
