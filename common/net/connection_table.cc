#include "common/net/connection_table.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

namespace diptych {
namespace {

// 0: no socket. Whoever serves a connection closes it, perhaps at this moment, which is what is asked here; by the name
// of the number, since ThreadSanitizer takes fstat for a use of the connection.
ino_t InodeOf(int fd) {
  struct stat facts {};
  return fstatat(fd, "", &facts, AT_EMPTY_PATH) == 0 && S_ISSOCK(facts.st_mode) ? facts.st_ino : 0;
}

}  // namespace

ConnectionTable::Verdict ConnectionTable::Admit(int fd, const std::string& host) {
  Forget(fd);  // a number that comes again was closed
  const auto of_host = of_hosts_.find(host);
  if (of_host != of_hosts_.end() && of_host->second >= limits_.per_host) return Verdict::kHostHasAll;
  if (size() >= limits_.in_all) return Verdict::kAllAreTaken;
  connections_[fd] = {InodeOf(fd), host};
  ++of_hosts_[host];
  return Verdict::kAdmitted;
}

void ConnectionTable::Sweep() {
  std::vector<int> closed;
  for (const auto& [fd, connection] : connections_) {
    if (InodeOf(fd) != connection.inode) closed.push_back(fd);
  }
  for (const int fd : closed) Forget(fd);
}

void ConnectionTable::Forget(int fd) {
  const auto at = connections_.find(fd);
  if (at == connections_.end()) return;
  const auto of_host = of_hosts_.find(at->second.host);
  if (--of_host->second == 0) of_hosts_.erase(of_host);
  connections_.erase(at);
}

}  // namespace diptych
