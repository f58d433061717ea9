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
#include "coordinator/client/peer_address.h"

namespace diptych {

// A channel to HOST:PORT. INVALID_ARGUMENT for a malformed address, FAILED_PRECONDITION for plain text off loopback
// without --insecure; what ReadTlsFiles says of the credentials' files.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const PeerAddress& peer);

// The status of a call, with the peer's address in front of what the transport says when nobody answered, and what
// TlsAdvice finds out. `stop`: what may have ended the call from here; CANCELLED without that means that the peer is
// stopping, and becomes UNAVAILABLE.
absl::Status CallStatus(const grpc::Status& status, const PeerAddress& peer, const CallStop* stop = nullptr);
// The same; a peer that is full and says when to come again keeps that (RetryAfter, common/net/grpc_status.h).
absl::Status CallStatus(const grpc::Status& status, const grpc::ClientContext& context, const PeerAddress& peer,
                        const CallStop* stop = nullptr);

inline void SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds timeout) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
}

}  // namespace diptych
