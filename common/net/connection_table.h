// Which connections are open, and from where: what the acceptor decides by. No thread, no socket of its own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <unordered_map>

namespace diptych {

struct ConnectionLimits {
  int64_t in_all = 1024;
  int64_t per_host = 256;
};

// Whoever serves a connection closes its descriptor without a word. An entry therefore carries the socket's inode: a
// descriptor that is closed, or is another file by now, is no connection any more. Not thread-safe.
class ConnectionTable {
 public:
  enum class Verdict { kAdmitted, kHostHasAll, kAllAreTaken };

  explicit ConnectionTable(ConnectionLimits limits) : limits_(limits) {}

  // Remembers the connection if there is room for it among those that it knows of.
  Verdict Admit(int fd, const std::string& host);

  // Forgets those that are closed: a system call for each.
  void Sweep();

  int64_t size() const { return static_cast<int64_t>(connections_.size()); }

 private:
  struct Connection {
    ino_t inode = 0;
    std::string host;
  };

  void Forget(int fd);

  const ConnectionLimits limits_;
  std::unordered_map<int, Connection> connections_;    // by descriptor
  std::unordered_map<std::string, int64_t> of_hosts_;  // how many; no zeros
};

}  // namespace diptych
