// Who gives way when more connections come than a server has places for. No thread, no socket.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace diptych {

// What a connection is doing.
struct Place {
  enum class Phase {
    kLeaving,   // has its answer, and has not closed yet
    kWaiting,   // no request of its has come whole: silent, slow, or between two
    kTransfer,  // sends a body or takes an answer
    kWorking,   // waits for us
  };

  std::string host;
  Phase phase = Phase::kWaiting;
  std::chrono::steady_clock::time_point since{};  // in this phase
};

// Whether one more connection of `host` gets in, and which of `places` must be closed for it. Where the host has all
// that one may have, it is one of its own that leaves or waits. Where all places are taken, it is one of a host that
// has as many or more, and a transfer only of one that has at least two more; the host with most gives first, and of
// its connections the one that does longest what ends soonest. What waits for us always stays.
struct Admission {
  bool admitted = false;
  Place* gives_way = nullptr;
};
Admission AdmitAmong(const std::vector<Place*>& places, const std::string& host, int64_t in_all, int64_t per_host);

}  // namespace diptych
