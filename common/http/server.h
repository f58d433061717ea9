// HTTP/1.1 for few or many, with deadlines and limits for all that a peer can hold.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/http/limits.h"
#include "common/http/router.h"
#include "common/net/address.h"
#include "common/net/listening_sockets.h"

namespace diptych {

// Runs from Start to its end. One thread reads, writes and calls the handlers (C++20 coroutines on Boost.Asio), one
// accepts (common/net/acceptor.h); however many connections there are, there is no third. Answers are whole: no Range,
// no compression. A request that this server refuses itself gets a line of plain text: 400, 404, 405, 408, 413, 414,
// 415, 417, 431, 500, 501, 503, 505. Which Host, Origin or credential a request has is its handler's business.
class HttpServer {
 public:
  //   UNAVAILABLE  the system has no thread or descriptor for it
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(ListeningSockets sockets, HttpRouter router,
                                                           const HttpLimits& limits = {});
  // Closes all connections; afterwards no handler is called. Replies may still be out.
  ~HttpServer();

  const std::vector<Address>& addresses() const { return addresses_; }  // as ListeningSockets has them

 private:
  class Loop;

  explicit HttpServer(std::vector<Address> addresses);

  const std::vector<Address> addresses_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace diptych
