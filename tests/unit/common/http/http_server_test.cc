#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/http/server.h"
#include "tests/support/raw_http.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr seconds kLong(20);  // what must come comes before, on a busy machine too

int64_t CountIn(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

// Whether it becomes true before long.
bool Comes(const std::function<bool()>& holds) {
  const auto end = Clock::now() + kLong;
  while (!holds() && Clock::now() < end) std::this_thread::sleep_for(milliseconds(5));
  return holds();
}

int StatusOf(const std::string& answer) {
  return answer.rfind("HTTP/1.1 ", 0) == 0 ? std::stoi(answer.substr(9, 3)) : 0;
}

std::string BodyOf(const std::string& answer) {
  const size_t head = answer.find("\r\n\r\n");
  return head == std::string::npos ? "" : answer.substr(head + 4);
}

std::string Get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\n\r\n"; }

// A server with some routes:
//   GET /hello        at once      GET /later   by another thread   GET /never   when the test ends
//   GET /large        16 MB        GET /throws, /drops              POST /echo   up to 100 kB
class HttpServerTest : public testing::Test {
 protected:
  void Start(const HttpLimits& limits = {}, const std::string& host = "127.0.0.1") {
    HttpRouter router;
    const auto add = [&](const char* method, const char* path, uint64_t max_body, HttpHandler handler) {
      router.Add({.method = method, .path = path, .max_body = max_body, .handler = std::move(handler)});
    };
    add("GET", "/hello", 0, [this](const HttpRequest& request, HttpReply reply) {
      ++asked_;
      reply.Send({.body = "hello " + request.from.host});
    });
    add("GET", "/later", 0, [this](const HttpRequest&, HttpReply reply) {
      const std::lock_guard lock(mutex_);
      threads_.emplace_back([kept = std::make_shared<HttpReply>(std::move(reply))] {
        std::this_thread::sleep_for(milliseconds(30));
        kept->Send({.body = "late"});
      });
    });
    add("GET", "/never", 0, [this](const HttpRequest&, HttpReply reply) {
      const std::lock_guard lock(mutex_);
      kept_.push_back(std::move(reply));
    });
    add("GET", "/large", 0,
        [](const HttpRequest&, HttpReply reply) { reply.Send({.body = std::string(16'000'000, 'x')}); });
    add("GET", "/throws", 0, [](const HttpRequest&, HttpReply) { throw std::runtime_error("secret"); });
    add("GET", "/drops", 0, [](const HttpRequest&, HttpReply) {});
    add("POST", "/echo", 100'000, [](HttpRequest request, HttpReply reply) {
      reply.Send({.content_type = "application/octet-stream", .body = std::move(request.body)});
    });
    absl::StatusOr<ListeningSockets> sockets = ListeningSockets::Open({host, 0});
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    absl::StatusOr<std::unique_ptr<HttpServer>> server =
        HttpServer::Start(*std::move(sockets), std::move(router), limits);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  ~HttpServerTest() override {
    server_.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  RawHttp Connect(const std::string& from = "127.0.0.1", int receive_bytes = 0) {
    return RawHttp(server_->addresses().front().port, from, receive_bytes);
  }
  std::string Ask(const std::string& bytes) {
    RawHttp peer = Connect();
    peer.Send(bytes);
    return peer.ReadAnswer();
  }

  std::mutex mutex_;  // guards the two below
  std::vector<std::thread> threads_;
  std::vector<HttpReply> kept_;
  std::atomic<int> asked_ = 0;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersOneAfterAnotherOnAConnection) {
  Start();
  RawHttp peer = Connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(peer.Send(Get("/hello")));
    const std::string answer = peer.ReadAnswer();
    EXPECT_EQ(StatusOf(answer), 200) << answer;
    EXPECT_EQ(BodyOf(answer), "hello 127.0.0.1");
    EXPECT_NE(answer.find("\r\nConnection: keep-alive\r\n"), std::string::npos) << answer;
  }
  ASSERT_TRUE(peer.Send("GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n"));
  const std::string last = peer.ReadAll();
  EXPECT_NE(last.find("\r\nConnection: close\r\n"), std::string::npos) << last;
}

TEST_F(HttpServerTest, AnswersManyThatWereSentAtOnceInTheirOrder) {
  Start();
  RawHttp peer = Connect();
  ASSERT_TRUE(peer.Send(Get("/later") + Get("/nothing") + "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" +
                        Get("/hello")));
  EXPECT_EQ(BodyOf(peer.ReadAnswer()), "late");
  EXPECT_EQ(StatusOf(peer.ReadAnswer()), 404);
  EXPECT_EQ(BodyOf(peer.ReadAnswer()), "abc");
  EXPECT_EQ(BodyOf(peer.ReadAnswer()), "hello 127.0.0.1");
}

TEST_F(HttpServerTest, AnswersHeadWithoutTheBody) {
  Start();
  RawHttp peer = Connect();
  ASSERT_TRUE(peer.Send("HEAD /hello HTTP/1.1\r\n\r\n" + Get("/hello")));
  const std::string head = peer.ReadAnswer(/*without_body=*/true);
  EXPECT_NE(head.find("\r\nContent-Length: 15\r\n"), std::string::npos) << head;
  EXPECT_EQ(BodyOf(head), "");
  EXPECT_EQ(BodyOf(peer.ReadAnswer()), "hello 127.0.0.1");
}

TEST_F(HttpServerTest, TakesBodiesUpToTheRoutesLimit) {
  Start();
  const std::string post = "POST /echo HTTP/1.1\r\n";
  const std::string body(100'000, 'b');
  EXPECT_EQ(BodyOf(Ask(post + "Content-Length: 100000\r\n\r\n" + body)), body);
  EXPECT_EQ(BodyOf(Ask(post + "Transfer-Encoding: chunked\r\n\r\n186A0\r\n" + body + "\r\n0\r\n\r\n")), body);
  EXPECT_EQ(StatusOf(Ask(post + "Content-Length: 100001\r\n\r\n")), 413);
  EXPECT_EQ(StatusOf(Ask(post + "Transfer-Encoding: chunked\r\n\r\n186A1\r\n")), 413);
  EXPECT_EQ(StatusOf(Ask("GET /hello HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")), 413);
  // Whoever sends on regardless still gets the answer.
  EXPECT_EQ(StatusOf(Ask(post + "Content-Length: 500000\r\n\r\n" + std::string(500'000, 'x'))), 413);
}

TEST_F(HttpServerTest, SaysContinueToWhoWaitsForIt) {
  Start();
  RawHttp peer = Connect();
  const std::string expecting = "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: ";
  ASSERT_TRUE(peer.Send(expecting + "3\r\n\r\n"));
  EXPECT_EQ(peer.ReadAnswer(/*without_body=*/true), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(peer.Send("abc"));
  EXPECT_EQ(BodyOf(peer.ReadAnswer()), "abc");
  ASSERT_TRUE(peer.Send(expecting + "300000\r\n\r\n"));
  EXPECT_EQ(StatusOf(peer.ReadAnswer()), 413) << "before a byte of it is sent";
}

TEST_F(HttpServerTest, RefusesInPlainText) {
  Start();
  EXPECT_EQ(StatusOf(Ask(Get("/nothing"))), 404);
  const std::string other_method = Ask("DELETE /hello HTTP/1.1\r\n\r\n");
  EXPECT_EQ(StatusOf(other_method), 405);
  EXPECT_NE(other_method.find("\r\nAllow: GET, HEAD\r\n"), std::string::npos) << other_method;
  EXPECT_EQ(StatusOf(Ask("GET /hello HTTP/1.1\nHost: x\n\n")), 400);
  const std::string long_header = Ask("GET /hello HTTP/1.1\r\nX: " + std::string(300'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(StatusOf(long_header), 431);
  EXPECT_NE(long_header.find("\r\nContent-Type: text/plain"), std::string::npos) << long_header;
  EXPECT_EQ(BodyOf(long_header),
            "431 Request Header Fields Too Large: request line and headers may have 16384 bytes\n");
  EXPECT_EQ(StatusOf(Ask("GET /" + std::string(300'000, 'x'))), 414);
}

TEST_F(HttpServerTest, SendsThePiecesThatARangeAsksForAsAWhole) {
  Start();
  std::string ranges = "0-0";
  for (int i = 0; i < 1500; ++i) ranges += ",0-";
  const std::string answer =
      Ask("GET /hello HTTP/1.1\r\nAccept-Encoding: gzip, br\r\nRange: bytes=" + ranges + "\r\n\r\n");
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_EQ(BodyOf(answer), "hello 127.0.0.1");
}

TEST_F(HttpServerTest, AnswersForAHandlerThatDoesNot) {
  HttpLimits limits;
  limits.answer_time = milliseconds(100);
  Start(limits);
  EXPECT_EQ(StatusOf(Ask(Get("/drops"))), 500);
  const std::string thrown = Ask(Get("/throws"));
  EXPECT_EQ(StatusOf(thrown), 500);
  EXPECT_EQ(thrown.find("secret"), std::string::npos) << thrown;
  EXPECT_EQ(StatusOf(Ask(Get("/never"))), 503);
  {
    const std::lock_guard lock(mutex_);
    kept_.front().Send({.body = "too late"});
    kept_.clear();
  }
  EXPECT_EQ(StatusOf(Ask(Get("/hello"))), 200);
}

TEST_F(HttpServerTest, EndsWhatComesTooSlowly) {
  HttpLimits limits;
  limits.header_time = milliseconds(300);
  limits.body_time = milliseconds(300);
  limits.idle_time = milliseconds(300);
  Start(limits);
  RawHttp silent = Connect();
  RawHttp idle = Connect();
  ASSERT_TRUE(idle.Send(Get("/hello")));
  EXPECT_EQ(StatusOf(idle.ReadAnswer()), 200);
  RawHttp slow_body = Connect();
  ASSERT_TRUE(slow_body.Send("POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\n"));
  RawHttp slow_header = Connect();
  // Bytes that come again and again do not lengthen it.
  const auto begin = Clock::now();
  bool taken = slow_header.Send("GET /hello HTTP/1.1\r\nX: ");
  while (taken && Clock::now() < begin + kLong) {
    taken = slow_header.Send("x") && slow_header.ReadAnswer(false, milliseconds(20)).empty();
  }
  EXPECT_FALSE(taken) << "an answer came, or the end";
  EXPECT_LT(Clock::now() - begin, seconds(10));
  EXPECT_EQ(StatusOf(slow_body.ReadAnswer()), 408);
  EXPECT_TRUE(slow_body.IsClosedWithin(kLong));
  EXPECT_EQ(silent.ReadAll(kLong), "") << "who said nothing is told nothing";
  EXPECT_TRUE(silent.IsClosedWithin(kLong));
  EXPECT_EQ(idle.ReadAll(kLong), "");
  EXPECT_TRUE(idle.IsClosedWithin(kLong));
}

TEST_F(HttpServerTest, EndsAnAnswerThatIsNotRead) {
  HttpLimits limits;
  limits.write_time = milliseconds(300);
  Start(limits);
  RawHttp first = Connect();
  ASSERT_TRUE(first.Send(Get("/hello")));
  EXPECT_EQ(StatusOf(first.ReadAnswer()), 200);
  const int64_t before = CountIn("/proc/self/fd");
  RawHttp peer = Connect("127.0.0.1", 4096);
  ASSERT_TRUE(peer.Send(Get("/large")));
  // Both ends are in this process.
  EXPECT_TRUE(Comes([&] { return CountIn("/proc/self/fd") == before + 2; }));
  EXPECT_TRUE(Comes([&] { return CountIn("/proc/self/fd") == before + 1; }));
  EXPECT_LT(peer.ReadAll().size(), 16'000'000u);
}

TEST_F(HttpServerTest, SendsALargeAnswerWhole) {
  Start();
  EXPECT_EQ(BodyOf(Ask(Get("/large"))).size(), 16'000'000u);
}

TEST_F(HttpServerTest, EndsAConnectionAfterItsLastRequest) {
  HttpLimits limits;
  limits.requests_per_connection = 2;
  Start(limits);
  RawHttp peer = Connect();
  ASSERT_TRUE(peer.Send(Get("/hello") + Get("/hello") + Get("/hello")));
  EXPECT_NE(peer.ReadAnswer().find("keep-alive"), std::string::npos);
  EXPECT_NE(peer.ReadAnswer().find("close"), std::string::npos);
  EXPECT_TRUE(peer.IsClosedWithin(kLong));
  EXPECT_EQ(asked_, 2);
}

// 300 of one host that send a byte now and then, and 300 that say nothing: it answers as if they were not there.
TEST_F(HttpServerTest, AnswersBesideACrowdThatIsSlow) {
  HttpLimits limits;
  limits.connections = 32;
  limits.connections_per_host = 16;
  Start(limits);
  EXPECT_EQ(StatusOf(Ask(Get("/hello"))), 200);
  const int64_t threads = CountIn("/proc/self/task");
  const int64_t descriptors = CountIn("/proc/self/fd");
  std::vector<RawHttp> crowd;
  for (int i = 0; i < 600; ++i) {
    crowd.push_back(Connect());
    ASSERT_TRUE(crowd.back().connected());
    if (i % 2 == 0) crowd.back().Send("GET /hello HTTP/1.1\r\nX: ");
  }
  for (int i = 0; i < 20; ++i) {
    for (RawHttp& slow : crowd) slow.Send("x");
    const auto begin = Clock::now();
    const std::string answer = Ask(Get("/hello"));
    EXPECT_EQ(StatusOf(answer), 200) << answer;
    EXPECT_LT(Clock::now() - begin, seconds(2));
  }
  EXPECT_EQ(CountIn("/proc/self/task"), threads);
  EXPECT_LE(CountIn("/proc/self/fd"), descriptors + 600 + 2 * limits.connections) << "600 are the crowd's own ends";
  RawHttp other = Connect("127.0.0.2");
  ASSERT_TRUE(other.Send(Get("/hello")));
  EXPECT_EQ(StatusOf(other.ReadAnswer()), 200);
}

TEST_F(HttpServerTest, LetsNoHostKeepOthersOut) {
  HttpLimits limits;
  limits.connections = 4;
  limits.connections_per_host = 3;
  Start(limits);
  std::vector<RawHttp> crowd;
  for (int i = 0; i < 3; ++i) {
    crowd.push_back(Connect());
    ASSERT_TRUE(crowd.back().Send(Get("/never")));
  }
  EXPECT_TRUE(Comes([&] {
    const std::lock_guard lock(mutex_);
    return kept_.size() == 3;
  }));
  EXPECT_EQ(StatusOf(Ask(Get("/hello"))), 503) << "all three are at work";
  RawHttp other = Connect("127.0.0.2");
  ASSERT_TRUE(other.Send(Get("/hello")));
  EXPECT_EQ(BodyOf(other.ReadAnswer()), "hello 127.0.0.2");
  const std::lock_guard lock(mutex_);
  kept_.clear();
}

TEST_F(HttpServerTest, GoesOnWhenDescriptorsWereGone) {
  Start();
  RawHttp before = Connect();
  ASSERT_TRUE(before.Send(Get("/hello")));
  EXPECT_EQ(StatusOf(before.ReadAnswer()), 200);
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  const rlimit few = {static_cast<rlim_t>(CountIn("/proc/self/fd")) + 10, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<int> taken;
  for (int fd = 0; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken.push_back(fd);
  close(taken.back());
  taken.pop_back();
  {
    RawHttp refused = Connect();  // the last descriptor is this end's
    EXPECT_TRUE(refused.connected());
    EXPECT_TRUE(refused.IsClosedWithin(kLong));
  }
  ASSERT_TRUE(before.Send(Get("/hello")));
  EXPECT_EQ(StatusOf(before.ReadAnswer()), 200);
  for (const int fd : taken) close(fd);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(StatusOf(Ask(Get("/hello"))), 200);
}

TEST_F(HttpServerTest, EndsWhileConnectionsAreInEveryState) {
  Start();
  RawHttp silent = Connect(), slow = Connect(), working = Connect(), reading = Connect("127.0.0.1", 4096);
  ASSERT_TRUE(slow.Send("GET /hello HT"));
  ASSERT_TRUE(working.Send(Get("/never")));
  ASSERT_TRUE(reading.Send(Get("/large")));
  EXPECT_EQ(StatusOf(Ask(Get("/later"))), 200);
  const auto begin = Clock::now();
  server_.reset();
  EXPECT_LT(Clock::now() - begin, seconds(10));
  EXPECT_TRUE(silent.IsClosedWithin(kLong));
  const std::lock_guard lock(mutex_);
  for (HttpReply& reply : kept_) reply.Send({.body = "too late"});
}

TEST_F(HttpServerTest, ListensOnEveryAddressOfTheName) {
  Start({}, "localhost");
  for (const Address& address : server_->addresses()) {
    EXPECT_EQ(address.port, server_->addresses().front().port);
    RawHttp peer = Connect(address.host);
    ASSERT_TRUE(peer.Send(Get("/hello"))) << address.ToString();
    EXPECT_EQ(BodyOf(peer.ReadAnswer()), "hello " + address.host);
  }
}

TEST(HttpServer, SaysThatTheSystemHasNothingLeftForIt) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP()
      << "the undefined-behaviour sanitizer looks at exceptions through a pipe, for which nothing is left either";
#endif
  absl::StatusOr<ListeningSockets> sockets = ListeningSockets::Open({"127.0.0.1", 0});
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  const std::string address = sockets->addresses().front().ToString();
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  const rlimit none = {0, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto server = HttpServer::Start(*std::move(sockets), {});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(server.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(server.status().message()).find("cannot serve HTTP on " + address), std::string::npos)
      << server.status();
}

// Requests of many threads at once, answered from others: for the thread sanitizer.
TEST_F(HttpServerTest, AnswersManyPeersAtOnce) {
  HttpLimits limits;
  limits.connections_per_host = 32;
  Start(limits);
  std::vector<std::thread> peers;
  std::atomic<int> right = 0;
  for (int i = 0; i < 8; ++i) {
    peers.emplace_back([&] {
      RawHttp peer = Connect();
      for (int k = 0; k < 5; ++k) {
        peer.Send(Get("/later"));
        if (BodyOf(peer.ReadAnswer()) == "late") ++right;
      }
    });
  }
  for (std::thread& peer : peers) peer.join();
  EXPECT_EQ(right, 40);
}

}  // namespace
}  // namespace diptych
