// The life of the gRPC library in this process.
#pragma once

namespace diptych {

// Keeps gRPC initialized until the process ends. Without it the end of the last server or channel shuts the library
// down, which waits up to 10 s for a poller of its own that sleeps in epoll (gRPC 1.51, tcp_posix.cc). Thread-safe;
// call it as often as you like. The library says nothing on stderr, unless GRPC_VERBOSITY is set. Whatever links it has
// names looked up by the system (GRPC_DNS_RESOLVER=native).
void KeepGrpcInitialized();

}  // namespace diptych
