// What Prometheus would get from an endpoint of this machine: by a plain socket, for no library of ours is to be
// trusted here.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <sstream>
#include <string>

namespace diptych {

// The whole answer to a GET of `path`, with its status line and headers; empty when nobody is there.
inline std::string HttpGet(uint16_t port, const std::string& path) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience = {20, 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      send(connection, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    for (ssize_t size; (size = recv(connection, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(size));
    }
  }
  close(connection);
  return answer;
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
