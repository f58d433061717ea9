// Which handler a request is for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/message.h"
#include "common/http/reply.h"

namespace diptych {

// Called on the server's one thread, which it must not hold up: what takes time moves the reply elsewhere.
using HttpHandler = std::function<void(HttpRequest request, HttpReply reply)>;

struct HttpRoute {
  std::string method;     // "GET"; it answers HEAD too, its body is not sent then
  std::string path;       // "/v1/jobs/{id}": {id} stands for one segment that is not empty, "." or ".."
  uint64_t max_body = 0;  // bytes; 0: none is taken
  HttpHandler handler;
};

class HttpRouter {
 public:
  void Add(HttpRoute route);

  struct Found {
    const HttpRoute* route = nullptr;                    // null: `refusal` says why
    std::map<std::string, std::string> parameters = {};  // decoded: no control characters, but perhaps a '/'
    HttpResponse refusal = {};                           // 400 (a path that cannot be decoded), 404, 405 with Allow
  };
  // `path` as sent. Where several paths fit, the one that has words where the others have {name}s.
  Found Find(std::string_view method, std::string_view path) const;

 private:
  struct Pattern {
    HttpRoute route;
    std::vector<std::string> segments;
  };

  std::vector<Pattern> patterns_;
};

}  // namespace diptych
