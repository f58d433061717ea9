#include "common/net/acceptor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "common/net/host_lookup.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// A client's end of a connection.
class Client {
 public:
  explicit Client(const Address& to) {
    const SocketAddress there = LookUp(to)->front();
    fd_ = socket(there.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    there_ = there;
  }
  ~Client() { Close(); }
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)), there_(other.there_) {}

  // From which address it will come.
  Address Bind() {
    SocketAddress here = LookUp({there_.ToAddress().host, 0})->front();
    EXPECT_EQ(bind(fd_, here.get(), here.size), 0);
    EXPECT_EQ(getsockname(fd_, here.get(), &here.size), 0);
    return here.ToAddress();
  }
  Client& Connect() {
    EXPECT_EQ(connect(fd_, there_.get(), there_.size), 0);
    return *this;
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  // Whether the server sends "x" (true) or closes (false); nothing within 20 s is a failure.
  bool IsServed() {
    pollfd ready = {fd_, POLLIN, 0};
    EXPECT_EQ(poll(&ready, 1, 20'000), 1);
    char byte = 0;
    return recv(fd_, &byte, 1, 0) == 1;
  }

 private:
  int fd_ = -1;
  SocketAddress there_;
};

// Sends "x" to everybody and keeps the connection until it is told to close it.
class AcceptorTest : public testing::Test {
 protected:
  ~AcceptorTest() override {
    acceptor_.reset();
    CloseAll();
  }

  void Start(ConnectionLimits limits, const std::string& host = "127.0.0.1",
             milliseconds warn_interval = milliseconds(60'000)) {
    Start(Listen(host), limits, warn_interval);
  }
  ListeningSockets Listen(const std::string& host = "127.0.0.1") {
    absl::StatusOr<ListeningSockets> sockets = ListeningSockets::Open({host, 0});
    EXPECT_TRUE(sockets.ok()) << sockets.status();
    addresses_ = sockets->addresses();
    return *std::move(sockets);
  }
  void Start(ListeningSockets sockets, ConnectionLimits limits, milliseconds warn_interval = milliseconds(60'000)) {
    acceptor_ =
        std::make_unique<Acceptor>(std::move(sockets), AcceptorOptions{.limits = limits,
                                                                       .limits_hint = " (the.key)",
                                                                       .serve =
                                                                           [this](int, int connection, bool) {
                                                                             const std::lock_guard lock(mutex_);
                                                                             served_.push_back(connection);
                                                                             EXPECT_EQ(send(connection, "x", 1, 0), 1);
                                                                           },
                                                                       .warn =
                                                                           [this](const std::string& text) {
                                                                             const std::lock_guard lock(mutex_);
                                                                             warnings_.push_back(text);
                                                                           },
                                                                       .warn_interval = warn_interval});
  }
  Client NewClient(size_t address = 0) { return Client(addresses_[address]); }
  std::vector<Client> Connected(int count) {
    std::vector<Client> clients;
    for (int i = 0; i < count; ++i) {
      clients.push_back(NewClient());
      clients.back().Connect();
    }
    return clients;
  }
  void CloseAll() {
    const std::lock_guard lock(mutex_);
    for (const int fd : served_) close(fd);
    served_.clear();
  }
  // Somebody is served again, if not at once: the acceptor does not look all the time.
  bool IsServedSoon() {
    for (const auto end = steady_clock::now() + seconds(20); steady_clock::now() < end;) {
      if (NewClient().Connect().IsServed()) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }
  std::vector<std::string> Warnings() {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }

  std::vector<Address> addresses_;
  std::mutex mutex_;
  std::vector<int> served_;
  std::vector<std::string> warnings_;
  std::unique_ptr<Acceptor> acceptor_;
};

TEST_F(AcceptorTest, ServesEveryAddressOfAName) {
  Start({}, "localhost");
  for (size_t i = 0; i < addresses_.size(); ++i) EXPECT_TRUE(NewClient(i).Connect().IsServed());
}

TEST_F(AcceptorTest, ClosesWhatIsBeyondTheLimitAtOnceAndServesAgainWhenThereIsRoom) {
  Start({.in_all = 10, .per_host = 3});
  std::vector<Client> clients = Connected(5);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(clients[i].IsServed(), i < 3) << i;
  EXPECT_FALSE(NewClient().Connect().IsServed());
  CloseAll();
  EXPECT_TRUE(IsServedSoon());
}

TEST_F(AcceptorTest, SaysItOnceAndNotForEveryConnection) {
  Start({.in_all = 1, .per_host = 9});
  EXPECT_TRUE(NewClient().Connect().IsServed());
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(NewClient().Connect().IsServed());
  ASSERT_EQ(Warnings().size(), 1u);
  EXPECT_EQ(Warnings()[0],
            "a connection was closed at once, from 127.0.0.1: there are 1, as many as may be in all (the.key)");
  acceptor_.reset();
  ASSERT_EQ(Warnings().size(), 2u) << "what is left to say is said at the end";
  EXPECT_EQ(Warnings()[1].find("49 connections were closed at once, the last from 127.0.0.1"), 0u) << Warnings()[1];
}

TEST_F(AcceptorTest, SaysHowManyAfterAWhile) {
  Start({.in_all = 9, .per_host = 1}, "127.0.0.1", milliseconds(50));
  EXPECT_TRUE(NewClient().Connect().IsServed());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(NewClient().Connect().IsServed());
  const auto end = steady_clock::now() + seconds(20);
  while (Warnings().size() < 2 && steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(5));
  ASSERT_GE(Warnings().size(), 2u) << "nobody comes any more, and it is said all the same";
  EXPECT_NE(Warnings()[0].find("it has 1 already, as many as a host may have (the.key)"), std::string::npos);
}

TEST_F(AcceptorTest, LetsTheExpectedInBesideTheLimit) {
  Start({.in_all = 1, .per_host = 1});
  Client first = NewClient(), own = NewClient(), later = NewClient();
  EXPECT_TRUE(first.Connect().IsServed());
  const Address from = own.Bind();
  acceptor_->Expect(from);
  EXPECT_TRUE(own.Connect().IsServed());
  acceptor_->ExpectNoMore(from);
  EXPECT_FALSE(later.Connect().IsServed());
}

// The limit of descriptors as low as what is open, so that none is left, and as it was when it goes.
class NoDescriptorsLeft {
 public:
  NoDescriptorsLeft() {
    getrlimit(RLIMIT_NOFILE, &former_);
    const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    const rlimit none = {static_cast<rlim_t>(next), former_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptorsLeft() { setrlimit(RLIMIT_NOFILE, &former_); }

 private:
  rlimit former_{};
};

TEST_F(AcceptorTest, GoesOnAfterTheDescriptorsRanOut) {
  Start({});
  {
    std::vector<Client> clients;  // their descriptors are there before none is left
    for (int i = 0; i < 20; ++i) clients.push_back(NewClient());
    const NoDescriptorsLeft none;
    for (Client& client : clients) {
      client.Connect();
      EXPECT_FALSE(client.IsServed()) << "closed, and not left waiting";
    }
  }
  EXPECT_TRUE(IsServedSoon());
  ASSERT_EQ(Warnings().size(), 1u);
  EXPECT_EQ(Warnings()[0], "a connection was closed at once, Too many open files");
}

TEST_F(AcceptorTest, ServesAndEndsWithoutADescriptorToBeWokenBy) {
  ListeningSockets sockets = Listen();
  {
    const NoDescriptorsLeft none;
    Start(std::move(sockets), ConnectionLimits{});
  }
  EXPECT_TRUE(IsServedSoon());
  const auto begin = steady_clock::now();
  acceptor_.reset();
  EXPECT_LT(steady_clock::now() - begin, seconds(10));
}

}  // namespace
}  // namespace diptych
