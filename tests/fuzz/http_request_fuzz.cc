// Foreign bytes as a connection's: requests one after another, at once and in pieces, and the paths that they ask for.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/http/request_reader.h"
#include "common/http/router.h"

namespace {

using diptych::RequestReader;
using Progress = RequestReader::Progress;

constexpr uint64_t kMaxBody = 300;

const diptych::HttpLimits& Limits() {
  static const diptych::HttpLimits limits = [] {
    diptych::HttpLimits few;
    few.header_bytes = 512;
    few.header_count = 8;
    few.target_bytes = 64;
    return few;
  }();
  return limits;
}

const diptych::HttpRouter& Router() {
  static const diptych::HttpRouter router = [] {
    diptych::HttpRouter some;
    some.Add({.method = "GET", .path = "/metrics", .handler = nullptr});
    some.Add({.method = "POST", .path = "/v1/jobs/{id}", .max_body = kMaxBody, .handler = nullptr});
    return some;
  }();
  return router;
}

void Demand(bool holds) {
  if (!holds) std::abort();
}

// What was understood, as a text: the same however the bytes came.
std::string Understood(const std::string& bytes, size_t at_a_time) {
  std::string understood;
  std::string buffer;
  size_t next = 0;
  const auto feed = [&] {
    if (next >= bytes.size()) return false;
    buffer += bytes.substr(next, at_a_time);
    next += at_a_time;
    return true;
  };
  for (int requests = 0; requests < 20; ++requests) {
    RequestReader reader(Limits());
    Progress progress = reader.ReadHeader(&buffer);
    while (progress == Progress::kNeedsMore && feed()) progress = reader.ReadHeader(&buffer);
    if (progress == Progress::kDone) {
      const diptych::HttpRequest& request = reader.request();
      Demand(request.path.size() <= Limits().target_bytes && request.path.front() == '/');
      Demand(request.headers.size() <= 8);
      for (const auto& [name, value] : request.headers) {
        Demand(!name.empty() && value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
        understood += name + ":" + value + "\n";
      }
      const diptych::HttpRouter::Found found = Router().Find(request.method, request.path);
      Demand((found.route == nullptr) == (found.refusal.status != 200));
      understood += request.method + " " + request.path + "?" + request.query + "\n";
      progress = reader.ReadBody(&buffer, kMaxBody);
      while (progress == Progress::kNeedsMore && feed()) progress = reader.ReadBody(&buffer, kMaxBody);
    }
    if (progress == Progress::kNeedsMore) return understood + "not whole";
    if (progress == Progress::kRefused) {
      Demand(reader.refusal().status >= 400);
      return understood + "refused";
    }
    Demand(reader.request().body.size() <= kMaxBody);
    understood += reader.request().body + "\n";
  }
  return understood;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::string at_once = Understood(bytes, bytes.size() + 1);
  Demand(at_once == Understood(bytes, 1));
  Demand(at_once == Understood(bytes, 5));
  return 0;
}
