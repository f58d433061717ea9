#include "render_node/service/callers.h"

#include <optional>
#include <utility>

#include "common/error/status.h"
#include "common/picture/job_spec.h"

namespace diptych {

absl::StatusOr<Caller> Callers::Of(const std::string& said, const grpc::ServerContextBase& context) const {
  Caller caller{.name = said};
  if (names_ != nullptr) {
    std::optional<std::string> proven = names_->Of(context.peer());
    if (!proven) {
      return absl::UnauthenticatedError("the connection whose certificate says who asks has ended; connect again");
    }
    caller = {.name = *std::move(proven), .is_proven = true};
    caller.is_admin = admins_.contains(caller.name);
  }
  if (absl::Status s = Guard([&] { CheckClientName(caller.name); }); !s.ok()) return s;
  return caller;
}

}  // namespace diptych
