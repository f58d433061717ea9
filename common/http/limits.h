// What a peer of an HTTP server may hold and send, and for how long.
#pragma once

#include <chrono>
#include <cstdint>

namespace diptych {

// Every bound of a server beside those that a route states. docs/operations.md names those of the metrics port.
struct HttpLimits {
  // Places. A newcomer without one takes that of a connection that only waits (places.h), so that slow and silent
  // peers keep nobody out.
  int64_t connections = 64;
  int64_t connections_per_host = 16;
  int64_t requests_per_connection = 1000;  // the answer to the last one closes the connection

  // What comes before a body.
  uint64_t header_bytes = 16 * 1024;  // request line and headers together; beyond: 431
  int64_t header_count = 100;         // beyond: 431
  uint64_t target_bytes = 4096;       // path and query; beyond: 414

  // Time for each part, however the bytes are spread over it.
  std::chrono::milliseconds header_time{5'000};   // from the connection, later from the first byte; beyond: 408
  std::chrono::milliseconds body_time{30'000};    // for all of it; beyond: 408
  std::chrono::milliseconds answer_time{30'000};  // for the handler; beyond: 503
  std::chrono::milliseconds write_time{10'000};   // for every 64 KiB that the peer takes; beyond: closed
  std::chrono::milliseconds idle_time{75'000};    // between two requests; a scraper comes every 15 s or 60 s
};

}  // namespace diptych
