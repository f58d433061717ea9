#include "common/daemon/descriptors.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace diptych {
namespace {

constexpr int64_t kOwnNeed = 40;              // beside what is open when the daemon begins to listen
constexpr int64_t kFewest = 4;                // connections, however little that leaves
constexpr int64_t kOfAConnection = 3;         // its socket, and the pair through which gRPC has it (net/gate.h)
constexpr rlim_t kMostDescriptors = 1 << 20;  // where the hard limit is no limit

int64_t OpenDescriptors() {
  std::error_code error;
  const std::filesystem::directory_iterator all("/proc/self/fd", error);
  return error ? 0 : std::distance(begin(all), end(all));
}

}  // namespace

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t most = std::min(limit.rlim_max, kMostDescriptors);
  if (limit.rlim_cur >= most) return;
  limit.rlim_cur = most;
  setrlimit(RLIMIT_NOFILE, &limit);  // one that fails leaves it as it is
}

std::string DescriptorProblem() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "";
  const auto descriptors = static_cast<int64_t>(limit.rlim_cur);
  const int64_t needed = OpenDescriptors() + kOwnNeed + kFewest;
  if (descriptors >= needed) return "";
  return absl::StrCat("this process may have ", descriptors, " file descriptors and needs ", needed,
                      " at least (ulimit -n; LimitNOFILE= in a unit)");
}

ConnectionLimits WithinDescriptorLimit(const ConnectionLimits& wanted, const Logger& log) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  const auto descriptors = static_cast<int64_t>(limit.rlim_cur);
  const int64_t room = std::max((descriptors - OpenDescriptors() - kOwnNeed) / kOfAConnection, kFewest);
  if (room >= wanted.in_all) return wanted;
  log.Warn(absl::StrCat("at most ", room, " connections at a time, not ", wanted.in_all, ": this process may have ",
                        descriptors, " file descriptors (ulimit -Hn; LimitNOFILE= in a unit)"));
  return {.in_all = room, .per_host = std::min(wanted.per_host, room)};
}

}  // namespace diptych
