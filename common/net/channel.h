// Connections to daemons.
#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "common/net/address.h"

namespace diptych {

// A plain-text channel; connects when first used and again after a loss, at most 2 s apart. A peer that has vanished
// without a word is noticed within 20 s. Ignores http_proxy: daemons are reached directly. Thread-safe. Check the
// address with CheckPlaintextAllowed first.
std::shared_ptr<grpc::Channel> MakeChannel(const Address& address);

}  // namespace diptych
