#include "common/http/router.h"

#include <gtest/gtest.h>

#include <string>

namespace diptych {
namespace {

HttpRouter Router() {
  HttpRouter router;
  for (const auto& [method, path] : {std::pair("GET", "/metrics"),
                                     {"GET", "/v1/jobs/{id}"},
                                     {"DELETE", "/v1/jobs/{id}"},
                                     {"GET", "/v1/jobs/latest"},
                                     {"POST", "/v1/jobs"},
                                     {"GET", "/v1/{kind}/{id}/file"}}) {
    router.Add({.method = method, .path = path, .max_body = 0, .handler = nullptr});
  }
  return router;
}

std::string PathOf(const HttpRouter::Found& found) {
  return found.route == nullptr ? std::to_string(found.refusal.status) : found.route->method + " " + found.route->path;
}

TEST(HttpRouter, FindsByMethodAndPath) {
  const HttpRouter router = Router();
  EXPECT_EQ(PathOf(router.Find("GET", "/metrics")), "GET /metrics");
  EXPECT_EQ(PathOf(router.Find("HEAD", "/metrics")), "GET /metrics");
  EXPECT_EQ(PathOf(router.Find("DELETE", "/v1/jobs/7")), "DELETE /v1/jobs/{id}");
  EXPECT_EQ(PathOf(router.Find("GET", "/v1/jobs/latest")), "GET /v1/jobs/latest");
  EXPECT_EQ(PathOf(router.Find("GET", "/v1/j%6fbs/late")), "GET /v1/jobs/{id}");
}

TEST(HttpRouter, DecodesParameters) {
  const HttpRouter router = Router();
  const HttpRouter::Found found = router.Find("GET", "/v1/a%20b/%C3%A9%2f/file");
  EXPECT_EQ(found.parameters.at("kind"), "a b");
  EXPECT_EQ(found.parameters.at("id"), "\xc3\xa9/");
}

TEST(HttpRouter, FindsNothingElse) {
  const HttpRouter router = Router();
  for (const char* path : {"/", "", "/metrics/", "//metrics", "/METRICS", "/v1/jobs/", "/v1/jobs/.", "/v1/jobs/..",
                           "/v1/jobs/%2e%2E", "/v1/jobs/7/8", "/../../../etc/passwd", "/metrics/../metrics"}) {
    EXPECT_EQ(PathOf(router.Find("GET", path)), "404") << path;
  }
  for (const char* path : {"/metrics%00", "/%", "/%4", "/%zz", "/v1/jobs/a%0d%0ab", "/v1/jobs/%7f"}) {
    EXPECT_EQ(PathOf(router.Find("GET", path)), "400") << path;
  }
}

TEST(HttpRouter, SaysWhichMethodsThereAre) {
  const HttpRouter::Found found = Router().Find("PUT", "/v1/jobs/7");
  EXPECT_EQ(PathOf(found), "405");
  ASSERT_EQ(found.refusal.headers.size(), 1u);
  EXPECT_EQ(found.refusal.headers[0], (std::pair<std::string, std::string>("Allow", "DELETE, GET, HEAD")));
}

TEST(HttpResponseHead, LetsNoValueBeginALine) {
  HttpResponse response{.body = "12345"};
  response.headers.emplace_back("X-Name", "a\r\nSet-Cookie: b\n");
  const std::string head = HttpResponseHead(response, true);
  EXPECT_EQ(head.rfind("HTTP/1.1 200 OK\r\nDate: ", 0), 0u) << head;
  EXPECT_NE(head.find("\r\nX-Name: a??Set-Cookie: b?\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("\r\nContent-Length: 5\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.substr(head.size() - 4), "\r\n\r\n");
}

}  // namespace
}  // namespace diptych
