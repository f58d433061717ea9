// A request and its answer, as handlers see them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/net/address.h"

namespace diptych {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;  // in their order, names as they were written

struct HttpRequest {
  std::string method;                             // "GET"; as sent, so also "HEAD"
  std::string path;                               // as sent, without the query: "/v1/jobs/a%20b"
  std::string query;                              // as sent, what follows the '?'
  std::map<std::string, std::string> parameters;  // the route's {name}s, decoded
  HttpHeaders headers;
  std::string body;  // whole, without chunks; never unpacked
  Address from;

  // The first of this name, whatever its case; empty when there is none.
  std::string_view Header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  HttpHeaders headers = {};  // beside those that the server writes: Date, Connection, Content-Type, Content-Length
};

// "404 Not Found: `text`", as a line of plain text. `text` is ours: nothing of the request's stands in it.
HttpResponse HttpRefusal(int status, std::string_view text);

// Status line and headers up to the empty line. A control character in a header becomes a '?', so that no value can
// begin a line.
std::string HttpResponseHead(const HttpResponse& response, bool keep_alive);

}  // namespace diptych
