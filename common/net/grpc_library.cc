#include "common/net/grpc_library.h"

#include <grpc/grpc.h>

namespace diptych {

void KeepGrpcInitialized() {
  static const bool kept = [] {
    grpc_init();  // never matched by grpc_shutdown
    return true;
  }();
  (void)kept;
}

}  // namespace diptych
