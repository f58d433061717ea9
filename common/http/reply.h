// The answer that a request waits for.
#pragma once

#include <memory>

#include "common/http/message.h"

namespace diptych {

class HttpExchange;  // the connection's side of it, in server.cc

// To be answered once, on any thread, now or later. One that is dropped without an answer answers 500; one that comes
// too late (the client left, HttpLimits::answer_time, the server's end) is dropped without a word.
class HttpReply {
 public:
  explicit HttpReply(std::shared_ptr<HttpExchange> exchange);
  ~HttpReply();
  HttpReply(HttpReply&&) noexcept;
  HttpReply& operator=(HttpReply&&) = delete;

  void Send(HttpResponse response);

 private:
  std::shared_ptr<HttpExchange> exchange_;  // null once it has answered
};

}  // namespace diptych
