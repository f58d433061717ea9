// One Encode call to one encoder, from request to checked conditioning.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/concurrency/cancel_token.h"
#include "common/prompt/encode_input.h"
#include "render_node/conditioning/conditioning_source.h"
#include "render_node/conditioning/encoder_connection.h"

namespace diptych {

// Blocks until the stream has ended. `input` is that of the request's prompt; `expected_width` 0: any. What arrived is
// compared with these (common/wire/encode_stream.h, whose statuses these are), and:
//   FAILED_PRECONDITION  it is of another model than the encoder said
//   DEADLINE_EXCEEDED    it worked for longer than the terms say
//   UNAVAILABLE          it has gone silent
//   RESOURCE_EXHAUSTED   with BusyFor: it asks to come again, or its line was left
//   CANCELLED            `cancel` was cancelled, which ends the call at once
//   anything else        as the encoder or gRPC said
absl::StatusOr<FetchResult> CallEncode(const EncoderConnection& encoder, const FetchRequest& request,
                                       const EncodeInput& input, int64_t expected_width, const CancelToken& cancel);

}  // namespace diptych
