#include "common/net/grpc_library.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>

#include <cstdlib>

namespace diptych {
namespace {

// gRPC's own resolver (c-ares) reads /etc/hosts and asks DNS; the native one asks the system, which may know more:
// mDNS, the machine's own name, a directory service. Read at grpc_init; set before main, while nobody reads the
// environment on another thread. Who has set it knows why.
const bool names_are_the_systems = setenv("GRPC_DNS_RESOLVER", "native", /*overwrite=*/0) == 0;

}  // namespace

void KeepGrpcInitialized() {
  static const bool kept = [] {
    (void)names_are_the_systems;
    // What peers do wrong is answered to them, and said where it matters to us; gRPC's own lines would let them fill
    // our stderr. Who has set GRPC_VERBOSITY wants to see them.
    if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
    grpc_init();  // never matched by grpc_shutdown
    return true;
  }();
  (void)kept;
}

}  // namespace diptych
