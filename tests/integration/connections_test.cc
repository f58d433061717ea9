// The daemons under more connections than they take, and more than they have descriptors for: afterwards they answer
// again, and meanwhile they are seen to live.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "common/net/address.h"
#include "common/net/host_lookup.h"
#include "common/net/port_check.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/process.h"
#include "tests/integration/support/scratch.h"
#include "tests/integration/support/trouble.h"
#include "tests/integration/support/user.h"
#include "tests/support/notify_socket.h"

namespace diptych::integration {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Connections that say nothing.
class Crowd {
 public:
  Crowd(const Address& to, int count) {
    const SocketAddress there = LookUp(to)->front();
    for (int i = 0; i < count; ++i) {
      fds_.push_back(socket(there.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (connect(fds_.back(), there.get(), there.size) != 0) ADD_FAILURE() << "connection " << i;
    }
  }
  ~Crowd() {
    for (const int fd : fds_) close(fd);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // How many the other side has closed so far.
  int Closed() const {
    int closed = 0;
    for (const int fd : fds_) {
      char byte;
      closed += recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0 ? 1 : 0;
    }
    return closed;
  }

 private:
  std::vector<int> fds_;
};

// A daemon of the toy model with a limit of file descriptors, as the shell's ulimit sets it.
class Limited {
 public:
  Limited(const std::string& program, const std::string& ulimit, const Arguments& more = {},
          const Process::Environment& environment = {})
      : process_(CommandLine(program, ulimit, more), environment) {
    integration::Await(program + " serves", [&] {
      if (!process_.IsRunning()) throw std::runtime_error(program + " ended:\n" + process_.Err());
      return Has(process_.Err(), "info listening on ");
    });
    address_ = *ParseAddress(std::string(nlohmann::json::parse(process_.Out())["listening"]));
  }

  const Address& address() const { return address_; }
  std::string Log() const { return process_.Err(); }
  bool Answers(std::chrono::milliseconds patience = std::chrono::seconds(2)) const {
    return AnswersAtPort(address_, patience, [](const Address&) {});
  }
  int Stop() {
    process_.Signal(SIGTERM);
    return process_.Wait();
  }

 private:
  Arguments CommandLine(const std::string& program, const std::string& ulimit, const Arguments& more) const {
    Arguments line = {"/bin/sh",
                      "-c",
                      "ulimit " + ulimit + " && exec \"$@\"",
                      "-",
                      ProgramPath(program),
                      "--model-path",
                      ToyPath("toy_a"),
                      "--listen",
                      "127.0.0.1:0",
                      "--threads",
                      "1"};
    if (program == "diptych-renderd") {
      line.insert(line.end(), {"--encoder", "127.0.0.1:9", "--state-dir", scratch_ / "state"});
    }
    line.insert(line.end(), more.begin(), more.end());
    return line;
  }

  const Scratch scratch_;
  Process process_;
  Address address_;
};

class Connections : public testing::TestWithParam<const char*> {};

TEST_P(Connections, TheSoftLimitOfDescriptorsIsNoLimit) {
  Limited daemon(GetParam(), "-Sn 96");
  const Crowd crowd(daemon.address(), 150);
  EXPECT_TRUE(daemon.Answers(std::chrono::seconds(20))) << daemon.Log();
  EXPECT_EQ(crowd.Closed(), 0) << daemon.Log();
  EXPECT_EQ(daemon.Stop(), 0);
}

TEST_P(Connections, MoreThanThereAreDescriptorsAreClosedAtOnceAndItAnswersAgainAfterwards) {
  Limited daemon(GetParam(), "-n 96");
  for (int round = 0; round < 2; ++round) {
    const Crowd crowd(daemon.address(), 150);
    Await("most are closed", [&] { return crowd.Closed() >= 70; });
  }
  Await("it answers again", [&] { return daemon.Answers(); });
  const std::string log = daemon.Log();
  EXPECT_TRUE(Has(log, "this process may have 96 file descriptors")) << log;
  const std::string refusal = "closed at once";
  EXPECT_NE(log.find(refusal), log.npos) << log;
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 30) << "a line for every connection: " << log;
  EXPECT_EQ(daemon.Stop(), 0);
}

TEST_P(Connections, AHostHasNoMoreThanItMayAndTheDaemonIsSeenToLiveAllTheSame) {
  NotifySocket manager;
  Limited daemon(GetParam(), "-n 1024", {"--connections-per-host", "8"},
                 {{"NOTIFY_SOCKET", manager.path()}, {"WATCHDOG_USEC", "400000"}});
  {
    const Crowd crowd(daemon.address(), 20);
    Await("the rest is closed", [&] { return crowd.Closed() == 12; });
    EXPECT_FALSE(daemon.Answers()) << "one more of the same host";
    const int64_t before = manager.Count("WATCHDOG=1");
    Await("signs of life", [&] { return manager.Count("WATCHDOG=1") >= before + 3; });
  }
  EXPECT_TRUE(Has(daemon.Log(), "from 127.0.0.1: it has 8 already")) << daemon.Log();
  EXPECT_TRUE(Has(daemon.Log(), ".connections_per_host")) << daemon.Log();
  EXPECT_EQ(daemon.Stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(Both, Connections, testing::Values("diptych-encoderd", "diptych-renderd"),
                         [](const auto& info) { return std::string(info.param).substr(8); });

TEST(Names, LocalhostIsListenedOnWithAllItsAddressesWhichAreSaid) {
  Limited daemon("diptych-encoderd", "-n 1024", {"--listen", "localhost:0"});
  const std::string log = daemon.Log();
  const auto all = LookUp({"localhost", daemon.address().port});
  for (const SocketAddress& each : *all) {
    const Address address = each.ToAddress();
    EXPECT_TRUE(AnswersAtPort(address, std::chrono::seconds(20), [](const Address&) {})) << address.ToString();
    EXPECT_TRUE(Has(log, address.ToString())) << log;
  }
  EXPECT_TRUE(Has(log, "info listening on 127.0.0.1:") || Has(log, "info listening on [::1]:")) << log;
  EXPECT_FALSE(Has(log, "listening on localhost")) << log;
}

TEST(Names, OneThatNobodyKnowsIsSaidInPlainWords) {
  const std::string plain = "no-such-host.invalid: no address found for this name (getent hosts no-such-host.invalid)";
  const Outcome listen = RunDaemon(
      "diptych-encoderd", {"--model-path", ToyPath("toy_a"), "--listen", "no-such-host.invalid:0", "--insecure"});
  EXPECT_NE(listen.status, 0);
  EXPECT_TRUE(Has(listen.err, plain)) << listen.err;
  for (const Arguments& insecure : {Arguments{}, Arguments{"--insecure"}}) {
    Arguments arguments = {"nodes", "--render", "no-such-host.invalid:7872", "--timeout", "5"};
    arguments.insert(arguments.end(), insecure.begin(), insecure.end());
    const Outcome nodes = Diptych(arguments);
    EXPECT_NE(nodes.status, 0);
    ASSERT_EQ(ErrorLines(nodes).size(), 1u) << nodes.err;
    EXPECT_TRUE(Has(nodes.err, plain)) << nodes.err;
    EXPECT_FALSE(Has(nodes.err, "C-ares") || Has(nodes.err, "UNKNOWN")) << nodes.err;
  }
}

// As mDNS, a directory service or nss-myhostname give it: neither /etc/hosts nor DNS know the name.
class FarHost : public testing::Test, protected Scratch {
 protected:
  FarHost() { trouble_.FarHost(1); }

  Trouble trouble_{*this / "control", *this / "nothing"};
};

TEST_F(FarHost, IsFoundByClientsByListenersAndAmongEncodersAndLookedUpAgain) {
  const auto environment = trouble_.environment();
  Daemon encoder("diptych-encoderd", {"--model-path", ToyPath("toy_a"), "--threads", "1"}, "far.test:0", environment);
  EXPECT_EQ(encoder.address().find("127.0.0.1:"), 0u) << encoder.address();
  const std::string port = encoder.address().substr(encoder.address().find(':') + 1);

  trouble_.FarHost(0);
  Daemon renderer("diptych-renderd",
                  {"--model-path", ToyPath("toy_a"), "--threads", "1", "--encoder", "far.test:" + port, "--insecure",
                   "--state-dir", *this / "state"},
                  "127.0.0.1:0", environment);
  EXPECT_TRUE(Has(renderer.Log(), "does not answer yet: far.test: no address found for this name")) << renderer.Log();
  const std::string render = "far.test" + renderer.address().substr(renderer.address().find(':'));
  const auto paint = [&](const std::string& prompt) {
    const Outcome outcome = Diptych({"generate", prompt, "--render", render, "--width", "64", "--height", "64",
                                     "--steps", "1", "-o", *this / "a.png"},
                                    environment);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  };
  trouble_.FarHost(1);
  paint("A cat");

  encoder.Stop();
  Await("the renderer sees it", [&] { return Has(renderer.Log(), "encoder far.test:" + port + " is down"); });
  const Daemon moved = StartEncoder(ToyPath("toy_a"), {"--threads", "1"}, "127.0.0.2:" + port);
  trouble_.FarHost(2);
  const std::string id = User(renderer.address()).Submit({"--width", "64", "--height", "64", "--steps", "1"}, "A dog");
  User(renderer.address()).Fetch(id);
}

}  // namespace
}  // namespace diptych::integration
