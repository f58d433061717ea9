// A client of HTTP/2 that says exactly what a test wants, also what no library would.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/net/address.h"
#include "common/net/host_lookup.h"
#include "common/net/http2_frame.h"

namespace diptych {

class RawHttp2 {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  // Connects and introduces itself.
  explicit RawHttp2(const Address& to) {
    const SocketAddress there = LookUp(to)->front();
    fd_ = socket(there.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    closed_ = connect(fd_, there.get(), there.size) != 0;
    Send(std::string(kHttp2Preface) + FrameOf(Http2Frame::kSettings, 0, 0, ""));
  }
  // The same on a connection that is there, which it closes in the end.
  explicit RawHttp2(int fd) : fd_(fd) { Send(std::string(kHttp2Preface) + FrameOf(Http2Frame::kSettings, 0, 0, "")); }
  ~RawHttp2() { close(fd_); }
  RawHttp2(const RawHttp2&) = delete;
  RawHttp2& operator=(const RawHttp2&) = delete;

  static std::string FrameOf(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
    const auto size = static_cast<uint32_t>(payload.size());
    std::string frame;
    for (const int shift : {16, 8, 0}) frame.push_back(static_cast<char>(size >> shift));
    frame.push_back(static_cast<char>(type));
    frame.push_back(static_cast<char>(flags));
    for (const int shift : {24, 16, 8, 0}) frame.push_back(static_cast<char>(stream >> shift));
    return frame.append(payload);
  }
  static std::string ResetOf(uint32_t stream) {
    return FrameOf(Http2Frame::kRstStream, 0, stream, std::string("\0\0\0\x08", 4));
  }
  // A gRPC message.
  static std::string MessageOf(std::string_view bytes, bool compressed = false) {
    const auto size = static_cast<uint32_t>(bytes.size());
    std::string message(1, compressed ? '\1' : '\0');
    for (const int shift : {24, 16, 8, 0}) message.push_back(static_cast<char>(size >> shift));
    return message.append(bytes);
  }
  // Literal, in no table (RFC 7541, 6.2.2).
  static std::string Packed(const Headers& headers) {
    std::string block;
    const auto text = [&](const std::string& value) {
      size_t size = value.size();
      if (size < 127) {
        block.push_back(static_cast<char>(size));
      } else {
        block.push_back('\x7f');
        for (size -= 127; size >= 128; size >>= 7) block.push_back(static_cast<char>((size & 127) | 128));
        block.push_back(static_cast<char>(size));
      }
      block += value;
    };
    for (const auto& [name, value] : headers) {
      block.push_back('\0');
      text(name);
      text(value);
    }
    return block;
  }
  static std::string CallHeaders(const std::string& path, const Headers& more = {}) {
    Headers headers = {{":method", "POST"}, {":scheme", "http"}, {":path", path},
                       {":authority", "x"}, {"te", "trailers"},  {"content-type", "application/grpc"}};
    headers.insert(headers.end(), more.begin(), more.end());
    return Packed(headers);
  }

  uint32_t NextStream() { return std::exchange(next_stream_, next_stream_ + 2); }

  // A call that goes on after its headers, or has one message and ends.
  uint32_t Open(const std::string& path, const Headers& more = {}) {
    const uint32_t stream = NextStream();
    Send(FrameOf(Http2Frame::kHeaders, Http2Frame::kEndHeaders, stream, CallHeaders(path, more)));
    return stream;
  }
  uint32_t Call(const std::string& path, const std::string& message, const Headers& more = {}) {
    const uint32_t stream = Open(path, more);
    Send(FrameOf(Http2Frame::kData, Http2Frame::kEndStream, stream, message));
    return stream;
  }

  // False when it has not all been taken within the time, or the connection is closed.
  bool Send(std::string_view bytes, std::chrono::milliseconds within = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (!bytes.empty() && !closed_) {
      const ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count > 0) {
        bytes.remove_prefix(static_cast<size_t>(count));
      } else if (errno != EAGAIN) {
        closed_ = true;
      } else if (std::chrono::steady_clock::now() >= end) {
        return false;
      } else {
        pollfd ready = {fd_, POLLOUT, 0};
        poll(&ready, 1, 20);
      }
    }
    return !closed_;
  }

  struct Answer {
    Http2Frame head;
    std::string payload;
  };
  // The frames that come within the time, or until there is one of `stream` that ends it. SETTINGS are confirmed.
  std::vector<Answer> Read(std::chrono::milliseconds within, uint32_t stream = 0) {
    std::vector<Answer> answers;
    const auto end = std::chrono::steady_clock::now() + within;
    for (bool over = false; !over;) {
      while (received_.size() >= Http2Frame::kHeadBytes) {
        const Http2Frame head = Http2Frame::Parse(received_);
        if (received_.size() < Http2Frame::kHeadBytes + head.length) break;
        answers.push_back({head, received_.substr(Http2Frame::kHeadBytes, head.length)});
        received_.erase(0, Http2Frame::kHeadBytes + head.length);
        if (head.type == Http2Frame::kSettings && (head.flags & 1) == 0) {
          Send(FrameOf(Http2Frame::kSettings, 1, 0, ""));
        }
        over = over ||
               (stream != 0 && head.stream == stream && (head.ends_stream() || head.type == Http2Frame::kRstStream));
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      if (over || closed_ || left.count() <= 0) break;
      pollfd ready = {fd_, POLLIN, 0};
      if (poll(&ready, 1, static_cast<int>(left.count())) != 1) break;
      char bytes[1 << 14];
      const ssize_t count = recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
      if (count > 0) {
        received_.append(bytes, static_cast<size_t>(count));
      } else if (count == 0 || errno != EAGAIN) {
        closed_ = true;
      }
    }
    return answers;
  }
  // Whether the other side closes within the time.
  bool IsClosedWithin(std::chrono::milliseconds within) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (!closed_ && std::chrono::steady_clock::now() < end) Read(std::chrono::milliseconds(50));
    return closed_;
  }

 private:
  int fd_ = -1;
  bool closed_ = false;
  uint32_t next_stream_ = 1;
  std::string received_;
};

}  // namespace diptych
