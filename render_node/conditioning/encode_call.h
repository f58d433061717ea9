// One Encode call to one encoder, from request to checked conditioning.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/concurrency/cancel_token.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "render_node/conditioning/conditioning_source.h"

namespace diptych {

v1::EncodeRequest ToProto(const FetchRequest& request);

// Blocks until the stream has ended. What arrived is compared with `request` and `expected_width` (0: any).
//   DATA_LOSS            the stream is broken, or its text is not the text of its hash
//   FAILED_PRECONDITION  the rows are of another width, another layer, or more than were asked for
//   CANCELLED            `cancel` was set; within about 20 ms
//   anything else        as the encoder or gRPC said
absl::StatusOr<FetchResult> CallEncode(v1::Encoder::StubInterface* encoder, const v1::EncodeRequest& request,
                                       int64_t expected_width, std::chrono::system_clock::time_point deadline,
                                       const CancelToken& cancel);

}  // namespace diptych
