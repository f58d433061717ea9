// What every call needs: a channel, a deadline, a way to end it early.
#pragma once

#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "common/net/channel.h"
#include "coordinator/client/call_stop.h"

namespace diptych {

// A channel to HOST:PORT. INVALID_ARGUMENT for a malformed address, FAILED_PRECONDITION for plain text off loopback
// without `insecure`. `what` begins the message: "the renderer".
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& address, bool insecure,
                                                       std::string_view what);

// The status of a call, with the peer's address in front of what the transport says when nobody answered. `stop`: what
// may have ended the call from here; CANCELLED without that means that the peer is stopping, and becomes UNAVAILABLE.
absl::Status CallStatus(const grpc::Status& status, std::string_view what, const std::string& address,
                        const CallStop* stop = nullptr);
// The same; a peer that is full and says when to come again keeps that (RetryAfter, common/net/grpc_status.h).
absl::Status CallStatus(const grpc::Status& status, const grpc::ClientContext& context, std::string_view what,
                        const std::string& address, const CallStop* stop = nullptr);

inline void SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds timeout) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
}

}  // namespace diptych
