// Bytes of a connection -> a request, or why it is refused. No socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/http/body_reader.h"
#include "common/http/limits.h"
#include "common/http/message.h"

namespace diptych {

// Reads one request, its header with Boost.Beast, strictly: what two programs could read in two ways is refused (RFC
// 9112, section 11.2: a line that does not end with CR LF, a folded header, Content-Length twice, in another form than
// digits, or beside Transfer-Encoding, another transfer coding than one "chunked", and what BodyReader calls
// malformed).
class RequestReader {
 public:
  enum class Progress { kNeedsMore, kDone, kRefused };

  explicit RequestReader(const HttpLimits& limits) : limits_(limits) {}

  // Request line and headers: takes them from the front of `bytes` when they are whole. Until then `bytes` only grows
  // between two calls; whatever has come, it is not looked at twice, nor beyond the limits.
  Progress ReadHeader(std::string* bytes);

  // After the header; the body is not there yet.
  HttpRequest& request() { return request_; }
  bool has_body() const { return chunked_ || length_ > 0; }
  bool keep_alive() const { return keep_alive_; }
  bool expects_continue() const { return expects_continue_; }  // the client waits for "100 Continue"

  // The body, at most `limit` bytes of it: takes bytes from the front, what follows is the next request's. A stated
  // length beyond the limit is refused before a byte is read.
  Progress ReadBody(std::string* bytes, uint64_t limit);

  // The answer to a request that was refused; the connection ends with it.
  const HttpResponse& refusal() const { return *refusal_; }

 private:
  Progress Refuse(int status, std::string_view text);
  Progress Parse(std::string* bytes, size_t size);
  Progress CheckHeaders(bool http11);

  const HttpLimits limits_;
  HttpRequest request_;
  bool chunked_ = false;
  uint64_t length_ = 0;  // where it is not
  std::optional<BodyReader> body_;
  bool keep_alive_ = false;
  bool expects_continue_ = false;
  std::optional<HttpResponse> refusal_;

  // How far ReadHeader has looked.
  size_t seen_ = 0;
  int64_t lines_ = 0;      // whole ones
  size_t line_begin_ = 0;  // of the one that is not
  int spaces_ = 0;         // in the request line
  size_t target_begin_ = 0;
};

}  // namespace diptych
