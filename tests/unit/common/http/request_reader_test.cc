#include "common/http/request_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace diptych {
namespace {

using Progress = RequestReader::Progress;

struct Outcome {
  int refused = 0;  // the status; 0: not
  bool whole = false;
  HttpRequest request;
  std::string rest;  // what the next request begins with
};

// Fed at once, or by single bytes.
Outcome Read(const std::string& bytes, const HttpLimits& limits = {}, uint64_t max_body = 1000, size_t at_a_time = 0) {
  RequestReader reader(limits);
  Outcome outcome;
  size_t next = 0;
  std::string buffer;
  const auto feed = [&] {
    const size_t size = at_a_time == 0 ? bytes.size() : at_a_time;
    buffer += bytes.substr(next, size);
    next = std::min(bytes.size(), next + size);
  };
  feed();
  Progress progress = reader.ReadHeader(&buffer);
  while (progress == Progress::kNeedsMore && next < bytes.size()) {
    feed();
    progress = reader.ReadHeader(&buffer);
  }
  if (progress == Progress::kDone) {
    progress = reader.ReadBody(&buffer, max_body);
    while (progress == Progress::kNeedsMore && next < bytes.size()) {
      feed();
      progress = reader.ReadBody(&buffer, max_body);
    }
  }
  if (progress == Progress::kRefused) outcome.refused = reader.refusal().status;
  outcome.whole = progress == Progress::kDone;
  outcome.request = reader.request();
  outcome.rest = buffer + bytes.substr(next);
  return outcome;
}

TEST(RequestReader, ReadsARequestHoweverItsBytesCome) {
  const std::string bytes =
      "POST /v1/jobs/a%20b?x=1&y HTTP/1.1\r\nHost: here\r\nX-Two:  spaced value \r\ncontent-length: 5\r\n\r\nhelloGET ";
  for (const size_t at_a_time : {0, 1, 7}) {
    const Outcome outcome = Read(bytes, {}, 5, at_a_time);
    ASSERT_TRUE(outcome.whole) << outcome.refused;
    EXPECT_EQ(outcome.request.method, "POST");
    EXPECT_EQ(outcome.request.path, "/v1/jobs/a%20b");
    EXPECT_EQ(outcome.request.query, "x=1&y");
    EXPECT_EQ(outcome.request.Header("x-two"), "spaced value");
    EXPECT_EQ(outcome.request.Header("absent"), "");
    EXPECT_EQ(outcome.request.body, "hello");
    EXPECT_EQ(outcome.rest, "GET ");
  }
}

TEST(RequestReader, ReadsChunks) {
  const std::string bytes =
      "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n002\r\nde\r\n0\r\n\r\nrest";
  for (const size_t at_a_time : {0, 1}) {
    const Outcome outcome = Read(bytes, {}, 5, at_a_time);
    ASSERT_TRUE(outcome.whole) << outcome.refused;
    EXPECT_EQ(outcome.request.body, "abcde");
    EXPECT_EQ(outcome.rest, "rest");
  }
}

TEST(RequestReader, TakesTheWholeUrlThatAProxyWrites) {
  EXPECT_EQ(Read("GET http://here:1/a?b HTTP/1.1\r\n\r\n").request.path, "/a");
  EXPECT_EQ(Read("GET HTTP://here HTTP/1.1\r\n\r\n").request.path, "/");
}

// RFC 9112, section 11.2: what an end before us may understand in another way.
TEST(RequestReader, RefusesWhatCanBeReadInTwoWays) {
  const std::string post = "POST / HTTP/1.1\r\n";
  const std::vector<std::pair<std::string, int>> cases = {
      {post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400},
      {post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400},
      {post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
      {post + "Content-Length: 3, 3\r\n\r\nabc", 400},
      {post + "Content-Length: +3\r\n\r\nabc", 400},
      {post + "Content-Length: -1\r\n\r\nabc", 400},
      {post + "Content-Length: 0x3\r\n\r\nabc", 400},
      {post + "Content-Length: \r\n\r\nabc", 400},
      {post + "Content-Length: 99999999999999999999\r\n\r\nabc", 400},
      {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {post + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501},
      {post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
      {post + "Transfer-Encoding:\x0b"
              "chunked\r\n\r\n0\r\n\r\n",
       400},
      {post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
      {post + " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {post + "X: a\r\n b\r\n\r\n", 400},
      {post + "X: a\r\n\tb\r\n\r\n", 400},
      {post + "X: a\nContent-Length: 3\r\n\r\nabc", 400},
      {post + "X: a\rContent-Length: 3\r\n\r\nabc", 400},
      {"POST / HTTP/1.1\nX: a\n\n", 400},
      {post + "X: a\r\n\n", 400},
      {post + std::string("X: a\0b\r\n\r\n", 10), 400},
      {post + "\xff: a\r\n\r\n", 400},
      {post + "no colon\r\n\r\n", 400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST  / HTTP/1.1\r\n\r\n", 400},
      {"POST / HTTP/1.1 \r\n\r\n", 505},
      {"\r\nPOST / HTTP/1.1\r\n\r\n", 400},
      {" POST / HTTP/1.1\r\n\r\n", 400},
  };
  for (const auto& [bytes, status] : cases) {
    EXPECT_EQ(Read(bytes).refused, status) << bytes;
    EXPECT_EQ(Read(bytes, {}, 1000, 1).refused, status) << bytes;
  }
}

TEST(RequestReader, RefusesMalformedChunks) {
  EXPECT_EQ(Read("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n").refused, 400);
}

TEST(RequestReader, RefusesWhatIsNoHttpOrNoTarget) {
  EXPECT_EQ(Read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").refused, 505);
  EXPECT_EQ(Read("GET / HTTP/0.9\r\n\r\n").refused, 505);
  EXPECT_EQ(Read("GET * HTTP/1.1\r\n\r\n").refused, 400);
  EXPECT_EQ(Read("CONNECT here:80 HTTP/1.1\r\n\r\n").refused, 400);
  EXPECT_EQ(Read("GET /\xc3\xa9 HTTP/1.1\r\n\r\n").refused, 400);
  EXPECT_EQ(Read("\x16\x03\x01\x02" + std::string(100, 'a')).refused, 400) << "TLS";
  EXPECT_EQ(Read(std::string(100, 'a')).refused, 400) << "no method is so long";
}

TEST(RequestReader, UnpacksNothing) {
  EXPECT_EQ(Read("POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab").refused, 415);
  EXPECT_TRUE(Read("POST / HTTP/1.1\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\nab").whole);
}

TEST(RequestReader, HoldsItsLimitsToTheByte) {
  HttpLimits limits;
  limits.header_bytes = 200;
  limits.header_count = 3;
  limits.target_bytes = 20;
  const auto header = [](size_t size) {  // of so many bytes in all
    const std::string around = "GET / HTTP/1.1\r\nX: \r\n\r\n";
    return "GET / HTTP/1.1\r\nX: " + std::string(size - around.size(), 'a') + "\r\n\r\n";
  };
  EXPECT_TRUE(Read(header(200), limits).whole);
  EXPECT_EQ(Read(header(201), limits).refused, 431);
  EXPECT_EQ(Read("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'a'), limits).refused, 431) << "before its end";
  EXPECT_TRUE(Read("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n", limits).whole);
  EXPECT_EQ(Read("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n", limits).refused, 431);
  EXPECT_TRUE(Read("GET /" + std::string(19, 'a') + " HTTP/1.1\r\n\r\n", limits).whole);
  EXPECT_EQ(Read("GET /" + std::string(20, 'a') + " HTTP/1.1\r\n\r\n", limits).refused, 414);
  EXPECT_EQ(Read("GET /" + std::string(100'000, 'a'), limits).refused, 414) << "before its end";
}

TEST(RequestReader, HoldsTheRoutesLimitForABody) {
  const auto sized = [](const std::string& size) { return "POST / HTTP/1.1\r\nContent-Length: " + size + "\r\n\r\n"; };
  EXPECT_TRUE(Read(sized("10") + std::string(10, 'a'), {}, 10).whole);
  EXPECT_EQ(Read(sized("11"), {}, 10).refused, 413) << "before a byte of it";
  EXPECT_EQ(Read(sized("9223372036854775808"), {}, 10).refused, 413);
  EXPECT_EQ(Read(sized("1") + "a", {}, 0).refused, 413);
  EXPECT_TRUE(Read(sized("0"), {}, 0).whole);
  const std::string chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_TRUE(Read(chunked + "5\r\nabcde\r\n5\r\nabcde\r\n0\r\n\r\n", {}, 10).whole);
  EXPECT_EQ(Read(chunked + "5\r\nabcde\r\n6\r\nabcdef\r\n0\r\n\r\n", {}, 10).refused, 413);
  EXPECT_EQ(Read(chunked + "ffffffffffffffff\r\n", {}, 10).refused, 413);
  EXPECT_EQ(Read(chunked + "0\r\n\r\n", {}, 0).refused, 413);
}

TEST(RequestReader, KeepsTheConnectionOfHttp11UnlessToldOtherwise) {
  const auto keeps = [](const std::string& bytes) {
    RequestReader reader({});
    std::string buffer = bytes;
    EXPECT_EQ(reader.ReadHeader(&buffer), Progress::kDone) << bytes;
    return reader.keep_alive();
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(RequestReader, KnowsOneExpectation) {
  RequestReader reader({});
  std::string bytes = "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
  EXPECT_EQ(reader.ReadHeader(&bytes), Progress::kDone);
  EXPECT_TRUE(reader.expects_continue());
  EXPECT_EQ(Read("POST / HTTP/1.1\r\nExpect: more\r\nContent-Length: 2\r\n\r\nab").refused, 417);
}

}  // namespace
}  // namespace diptych
