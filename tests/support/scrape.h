// What Prometheus would get from an endpoint of this machine.
#pragma once

#include <cstdint>
#include <map>
#include <sstream>
#include <string>

#include "tests/support/raw_http.h"

namespace diptych {

// The whole answer to a GET of `path`, with its status line and headers; empty when nobody is there.
inline std::string HttpGet(uint16_t port, const std::string& path) {
  RawHttp peer(port);
  if (!peer.Send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")) return "";
  return peer.ReadAll();
}

// The figures of GET /metrics: "diptych_jobs{state=\"queued\"}" -> 3. Empty when the answer is not 200.
inline std::map<std::string, double> Scrape(uint16_t port) {
  std::map<std::string, double> figures;
  const std::string answer = HttpGet(port, "/metrics");
  if (answer.rfind("HTTP/1.1 200 ", 0) != 0) return figures;
  std::istringstream lines(answer.substr(answer.find("\r\n\r\n") + 4));
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.rfind(' ');
    if (line.empty() || line[0] == '#' || space == std::string::npos) continue;
    figures[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return figures;
}

}  // namespace diptych
