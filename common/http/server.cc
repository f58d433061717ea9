#include "common/http/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/files/file_descriptor.h"
#include "common/http/places.h"
#include "common/http/reply.h"
#include "common/http/request_reader.h"
#include "common/net/acceptor.h"
#include "common/net/host_lookup.h"

namespace diptych {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using Phase = Place::Phase;

constexpr size_t kReadBytes = 8 * 1024;    // at a time
constexpr size_t kWriteBytes = 64 * 1024;  // what write_time is for
// What a peer still sends after its last answer is read away for so long and so much: closing before would take the
// answer from it (RFC 9112, section 9.6).
constexpr milliseconds kLeaveTime(1000);
constexpr size_t kLeaveBytes = 1 << 20;

}  // namespace

// Where a handler's answer meets the connection that waits for it. Thread-safe.
class HttpExchange : public std::enable_shared_from_this<HttpExchange> {
 public:
  // The connection's timer ends its wait; the caller's thread is the timer's.
  void Open(asio::steady_timer* wait) {
    const std::lock_guard lock(mutex_);
    wait_ = wait;
  }

  bool IsAnswered() {
    const std::lock_guard lock(mutex_);
    return response_.has_value();
  }

  // Afterwards the timer is not touched any more, and an answer is too late.
  std::optional<HttpResponse> Close() {
    const std::lock_guard lock(mutex_);
    wait_ = nullptr;
    return std::exchange(response_, std::nullopt);
  }

  void Answer(HttpResponse response) {
    const std::lock_guard lock(mutex_);
    if (wait_ == nullptr) return;
    response_ = std::move(response);
    // The loop lives as long as the connection waits, and the connection until the lock is free.
    asio::post(wait_->get_executor(), [self = shared_from_this()] {
      const std::lock_guard lock(self->mutex_);
      if (self->wait_ != nullptr) self->wait_->cancel();
    });
  }

 private:
  std::mutex mutex_;
  asio::steady_timer* wait_ = nullptr;
  std::optional<HttpResponse> response_;
};

HttpReply::HttpReply(std::shared_ptr<HttpExchange> exchange) : exchange_(std::move(exchange)) {}

HttpReply::~HttpReply() {
  if (exchange_) Send(HttpRefusal(500, "no answer came"));
}

HttpReply::HttpReply(HttpReply&&) noexcept = default;

void HttpReply::Send(HttpResponse response) {
  const std::shared_ptr<HttpExchange> exchange = std::exchange(exchange_, nullptr);
  if (!exchange) return;
  try {
    exchange->Answer(std::move(response));
  } catch (const std::exception&) {  // no memory: HttpLimits::answer_time ends the wait
  }
}

namespace {

// One peer, from its connection to its end. On the loop's thread alone.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(const HttpRouter& router, const HttpLimits& limits, tcp::socket socket, Address from)
      : router_(router),
        limits_(limits),
        from_(std::move(from)),
        socket_(std::move(socket)),
        deadline_(socket_.get_executor()),
        place_{.host = from_.host, .since = Clock::now()} {}

  Place& place() { return place_; }

  // Serves until the peer, a limit or Close ends it.
  awaitable<void> Run() {
    Within(limits_.header_time);
    for (int64_t left = limits_.requests_per_connection; left > 0; --left) {
      const bool first = left == limits_.requests_per_connection;
      const bool goes_on = co_await ServeOne(first, left == 1);
      if (!goes_on) break;
    }
    if (answered_) co_await Leave();
    Close();
  }

  void Close() {
    closed_ = true;
    error_code ignored;
    socket_.close(ignored);
    deadline_.cancel();
    if (answer_wait_ != nullptr) answer_wait_->cancel();
  }

 private:
  enum class Got { kBytes, kEnd, kLate };

  // False: this was the last.
  awaitable<bool> ServeOne(bool first, bool last) {
    Enter(Phase::kWaiting);
    RequestReader reader(limits_);
    bool begun = first || !bytes_.empty();
    if (!first) Within(begun ? limits_.header_time : limits_.idle_time);
    RequestReader::Progress progress = reader.ReadHeader(&bytes_);
    while (progress == RequestReader::Progress::kNeedsMore) {
      const Got got = co_await Read();
      if (got == Got::kLate && !bytes_.empty()) co_await Refuse(HttpRefusal(408, "the headers came too slowly"));
      if (got != Got::kBytes) co_return false;
      if (!begun) Within(limits_.header_time);
      begun = true;
      progress = reader.ReadHeader(&bytes_);
    }
    if (progress == RequestReader::Progress::kRefused) {
      co_await Refuse(reader.refusal());
      co_return false;
    }

    HttpRouter::Found found = router_.Find(reader.request().method, reader.request().path);
    const bool head_only = reader.request().method == "HEAD";
    if (found.route == nullptr) {
      const bool goes_on = reader.keep_alive() && !reader.has_body() && !last;
      co_return co_await Write(std::move(found.refusal), head_only, goes_on);
    }
    if (reader.has_body()) {
      const bool whole = co_await ReadBody(&reader, found.route->max_body);
      if (!whole) co_return false;
    }

    HttpRequest request = std::move(reader.request());
    request.parameters = std::move(found.parameters);
    request.from = from_;
    HttpResponse response = co_await Ask(*found.route, std::move(request));
    co_return co_await Write(std::move(response), head_only, reader.keep_alive() && !last);
  }

  // False: it was refused, or the peer is gone.
  awaitable<bool> ReadBody(RequestReader* reader, uint64_t limit) {
    Enter(Phase::kTransfer);
    Within(limits_.body_time);
    RequestReader::Progress progress = reader->ReadBody(&bytes_, limit);
    if (progress == RequestReader::Progress::kNeedsMore && reader->expects_continue()) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      error_code error;
      co_await asio::async_write(socket_, asio::buffer(kContinue.data(), kContinue.size()),
                                 asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return false;
    }
    while (progress == RequestReader::Progress::kNeedsMore) {
      const Got got = co_await Read();
      if (got == Got::kLate) co_await Refuse(HttpRefusal(408, "the body came too slowly"));
      if (got != Got::kBytes) co_return false;
      progress = reader->ReadBody(&bytes_, limit);
    }
    if (progress == RequestReader::Progress::kRefused) co_await Refuse(reader->refusal());
    co_return progress == RequestReader::Progress::kDone;
  }

  // The handler's answer, or ours in its place.
  awaitable<HttpResponse> Ask(const HttpRoute& route, HttpRequest request) {
    Enter(Phase::kWorking);
    const auto exchange = std::make_shared<HttpExchange>();
    asio::steady_timer wait(socket_.get_executor(), limits_.answer_time);
    exchange->Open(&wait);
    answer_wait_ = &wait;
    const absl::Cleanup end = [&] {  // whatever ends it: the timer is gone then
      answer_wait_ = nullptr;
      exchange->Close();
    };
    try {
      route.handler(std::move(request), HttpReply(exchange));
    } catch (...) {  // the reply that it dropped says 500
    }
    while (!exchange->IsAnswered() && !closed_ && wait.expiry() > Clock::now()) {
      error_code ignored;
      co_await wait.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    std::optional<HttpResponse> response = exchange->Close();
    if (!response) response = HttpRefusal(503, "no answer came in time");
    co_return *std::move(response);
  }

  awaitable<void> Refuse(HttpResponse response) {
    co_await Write(std::move(response), /*head_only=*/false, /*goes_on=*/false);
  }

  // Returns whether another request may follow.
  awaitable<bool> Write(HttpResponse response, bool head_only, bool goes_on) {
    Enter(Phase::kTransfer);
    const std::string head = HttpResponseHead(response, goes_on);
    const std::string_view body = head_only ? std::string_view() : response.body;
    size_t sent = 0;
    bool head_sent = false;
    while (!head_sent || sent < body.size()) {
      const std::string_view piece = body.substr(sent, kWriteBytes);
      const std::array<asio::const_buffer, 2> parts = {asio::buffer(head.data(), head_sent ? 0 : head.size()),
                                                       asio::buffer(piece.data(), piece.size())};
      Within(limits_.write_time);
      error_code error = asio::error::operation_aborted;
      if (!closed_) co_await asio::async_write(socket_, parts, asio::redirect_error(asio::use_awaitable, error));
      if (error || late_) {
        answered_ = false;  // there is nobody to wait for
        co_return false;
      }
      head_sent = true;
      sent += piece.size();
    }
    answered_ = true;
    co_return goes_on;
  }

  // What came is behind what is there already.
  awaitable<Got> Read() {
    if (closed_) co_return Got::kEnd;
    if (late_) co_return Got::kLate;
    error_code error;
    const size_t size =
        co_await socket_.async_read_some(asio::buffer(chunk_), asio::redirect_error(asio::use_awaitable, error));
    if (closed_) co_return Got::kEnd;
    if (late_) co_return Got::kLate;
    if (error) co_return Got::kEnd;
    bytes_.append(chunk_.data(), size);
    co_return Got::kBytes;
  }

  // Says that nothing more comes, and lets the peer close first.
  awaitable<void> Leave() {
    Enter(Phase::kLeaving);
    Within(kLeaveTime);
    error_code error;
    socket_.shutdown(tcp::socket::shutdown_send, error);
    for (size_t size = 0; !error && !closed_ && !late_ && size < kLeaveBytes;) {
      size += co_await socket_.async_read_some(asio::buffer(chunk_), asio::redirect_error(asio::use_awaitable, error));
    }
  }

  void Enter(Phase phase) {
    place_.phase = phase;
    place_.since = Clock::now();
  }

  // From now on what is read or written ends after this time, as kLate; in place of the deadline before.
  void Within(milliseconds time) {
    late_ = false;
    const int64_t number = ++deadlines_;
    if (closed_) return;
    deadline_.expires_after(time);
    deadline_.async_wait([weak = weak_from_this(), number](error_code error) {
      const std::shared_ptr<Connection> self = weak.lock();
      if (error || !self || self->deadlines_ != number) return;
      self->late_ = true;
      self->socket_.cancel(error);
    });
  }

  const HttpRouter& router_;
  const HttpLimits& limits_;
  const Address from_;
  tcp::socket socket_;
  asio::steady_timer deadline_;
  asio::steady_timer* answer_wait_ = nullptr;  // while a handler is asked
  Place place_;
  std::array<char, kReadBytes> chunk_;
  std::string bytes_;  // read, and not yet understood
  int64_t deadlines_ = 0;
  bool late_ = false;
  bool closed_ = false;
  bool answered_ = false;
};

}  // namespace

class HttpServer::Loop {
 public:
  Loop(ListeningSockets sockets, HttpRouter router, const HttpLimits& limits)
      : router_(std::move(router)), limits_(limits), io_(1), work_(io_.get_executor()), arriving_(limits.connections) {
    asio::steady_timer poller(io_);  // the first one opens the loop's descriptors: now, or Start fails
    thread_ = std::thread([this] { Work(); });
    constexpr int64_t kAny = std::numeric_limits<int64_t>::max();  // the loop is who judges
    try {
      acceptor_ = std::make_unique<Acceptor>(
          std::move(sockets), AcceptorOptions{.limits = {.in_all = kAny, .per_host = kAny},
                                              .limits_hint = "",
                                              .serve = [this](int, int fd, bool) { Take(FileDescriptor(fd)); },
                                              .warn = nullptr});
    } catch (...) {
      End();
      throw;
    }
  }

  ~Loop() {
    acceptor_.reset();
    End();
  }

 private:
  void Work() {
    for (;;) {
      try {
        io_.run();
        return;
      } catch (const std::exception&) {  // no memory for one thing: the others go on
      }
    }
  }

  void End() {
    asio::post(io_, [this] {
      ending_ = true;
      for (const auto& connection : connections_) connection->Close();
      work_.reset();
    });
    thread_.join();
  }

  // On the acceptor's thread, which waits when the loop is behind: then newcomers stand in the kernel's line.
  void Take(FileDescriptor peer) {
    arriving_.acquire();
    try {
      asio::post(io_, [this, peer = std::move(peer)]() mutable {
        arriving_.release();
        Welcome(std::move(peer));
      });
    } catch (const std::exception&) {
      arriving_.release();
    }
  }

  void Welcome(FileDescriptor peer) {
    SocketAddress from;
    from.size = sizeof from.storage;
    if (ending_ || getpeername(peer.get(), from.get(), &from.size) != 0) return;
    const Address address = from.ToAddress();
    if (!MakeRoom(address.host)) {
      const HttpResponse refusal = HttpRefusal(503, "there are too many connections already");
      const std::string answer = HttpResponseHead(refusal, /*keep_alive=*/false) + refusal.body;
      if (send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL) >= 0) shutdown(peer.get(), SHUT_WR);
      return;
    }
    tcp::socket socket(io_);
    error_code error;
    socket.assign(from.storage.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), peer.get(), error);
    if (error) return;
    peer.Release();
    const auto connection = std::make_shared<Connection>(router_, limits_, std::move(socket), address);
    connections_.push_back(connection);
    try {
      asio::co_spawn(io_, connection->Run(), [this, connection](const std::exception_ptr&) { Remove(connection); });
    } catch (const std::exception&) {
      Remove(connection);
    }
  }

  // False: all places are taken by those that cannot give way.
  bool MakeRoom(const std::string& host) {
    std::vector<Place*> places;
    for (const auto& connection : connections_) places.push_back(&connection->place());
    const Admission admission = AdmitAmong(places, host, limits_.connections, limits_.connections_per_host);
    if (admission.gives_way != nullptr) {
      Remove(*std::find_if(connections_.begin(), connections_.end(),
                           [&](const auto& connection) { return &connection->place() == admission.gives_way; }));
    }
    return admission.admitted;
  }

  void Remove(const std::shared_ptr<Connection>& connection) {
    const std::shared_ptr<Connection> kept = connection;
    kept->Close();
    std::erase(connections_, kept);
  }

  const HttpRouter router_;
  const HttpLimits limits_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::counting_semaphore<> arriving_;  // free places among those that the loop has not looked at yet
  // The loop's thread's.
  bool ending_ = false;
  std::vector<std::shared_ptr<Connection>> connections_;

  std::thread thread_;
  std::unique_ptr<Acceptor> acceptor_;
};

HttpServer::HttpServer(std::vector<Address> addresses) : addresses_(std::move(addresses)) {}
HttpServer::~HttpServer() = default;

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(ListeningSockets sockets, HttpRouter router,
                                                              const HttpLimits& limits) {
  std::unique_ptr<HttpServer> server(new HttpServer(sockets.addresses()));
  try {
    server->loop_ = std::make_unique<Loop>(std::move(sockets), std::move(router), limits);
  } catch (const std::exception& why) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve HTTP on ", server->addresses_.front().ToString(), ": ", why.what()));
  }
  return server;
}

}  // namespace diptych
