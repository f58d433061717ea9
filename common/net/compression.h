// No message of ours is compressed, and none is accepted that is: a megabyte of zeros unpacks to a gigabyte.
#pragma once

#include <grpc/compression.h>
#include <grpc/grpc.h>

#include <type_traits>

namespace diptych {

// For a ServerBuilder or ChannelArguments. A peer that says that it compresses gets UNIMPLEMENTED, and whatever it
// sends is not unpacked.
template <typename Builder>
void AcceptNoCompression(Builder* builder) {
  const auto set = [builder](const char* name, int value) {
    if constexpr (requires { builder->SetInt(name, value); }) {
      builder->SetInt(name, value);
    } else {
      builder->AddChannelArgument(name, value);
    }
  };
  set(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE);
  set(GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM, GRPC_COMPRESS_NONE);
  set(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  set(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
}

}  // namespace diptych
