// absl::Status <-> grpc::Status. The codes are the same numbers; the message is kept, but for what gRPC itself says of
// a server that it cannot reach or that has no such service. A message that is sent is cut at 2000 bytes, since a
// larger one is lost with all headers; one that is received is foreign text (common/foreign_text/foreign_text.h) of
// 1000.
//
// A message beyond our own limit (channel.h) becomes DATA_LOSS: gRPC says RESOURCE_EXHAUSTED, as a peer does that is
// full, though it is the peer that is at fault and asking again is no use.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace diptych {

// What a message of FromGrpcStatus begins with when nobody could be reached; the reason follows: "Connection refused".
inline constexpr absl::string_view kNoConnection = "no connection: ";

grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

// UNAVAILABLE from a daemon that is there and loads its model. gRPC gives the same code when a connection is lost or
// its peer is silent, so a word of our own goes along, in the call's trailing metadata: these two keep it.
absl::Status StillLoadingError(absl::string_view message);
bool IsStillLoading(const absl::Status& status);
grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase* context);  // none: nobody is told
absl::Status FromGrpcStatus(const grpc::Status& status, const grpc::ClientContext& context);

// RESOURCE_EXHAUSTED from a peer that is full, with how long later it is worth another try: "retry-after-ms" in the
// trailing metadata, which FromGrpcStatus with a context keeps. RetryAfter: within the bounds, whatever the peer says;
// nothing for another status, or one without.
absl::Status RetryAfterError(absl::string_view message, std::chrono::milliseconds pause);
std::optional<std::chrono::milliseconds> RetryAfter(const absl::Status& status, std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most);

}  // namespace diptych
