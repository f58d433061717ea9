// Connections to daemons.
#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "common/net/credentials.h"

namespace diptych {

inline constexpr int kLargestAnswer = 4 << 20;  // bytes of one message that a peer sends

// A channel, encrypted when the credentials say so (what they name has been read by ReadTlsFiles before, and is read
// again when it changes); connects when first used and again after a loss, at most 2 s apart, and looks the name up
// anew. A peer that has vanished without a word is noticed within 20 s. Ignores http_proxy: daemons are reached
// directly. Thread-safe. Check the address with CheckAllowed first.
std::shared_ptr<grpc::Channel> MakeChannel(const Address& address, const Credentials& credentials = {});

// For a channel that is not connected: the next call looks the name up and connects at once. Else a name that nobody
// knew is looked up again after up to 2 min.
void ConnectAnew(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace diptych
