#include "common/net/listening_sockets.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/net/host_lookup.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

bool CanConnect(const Address& to) {
  const SocketAddress there = LookUp(to)->front();
  const int fd = socket(there.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool can = connect(fd, there.get(), there.size) == 0;
  close(fd);
  return can;
}

bool HasIpv6() { return ListeningSockets::Open({"::1", 0}).ok(); }

TEST(ListeningSockets, ANameIsAllOfItsAddressesOnOnePort) {
  const auto sockets = ListeningSockets::Open({"localhost", 0});
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  ASSERT_EQ(sockets->addresses().size(), sockets->descriptors().size());
  for (const Address& address : sockets->addresses()) {
    EXPECT_TRUE(IsLoopback(address)) << address.ToString();
    EXPECT_EQ(address.port, sockets->addresses().front().port);
    EXPECT_NE(address.port, 0);
    EXPECT_TRUE(CanConnect(address)) << address.ToString();
  }
}

TEST(ListeningSockets, TheWildcardOfIpv6IsBothKindsAndThatOfIpv4IsOne) {
  if (!HasIpv6()) GTEST_SKIP() << "this machine has no IPv6";
  const auto both = ListeningSockets::Open({"::", 0});
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(both->addresses().front().host, "::");
  EXPECT_TRUE(CanConnect({"::1", both->addresses().front().port}));
  EXPECT_TRUE(CanConnect({"127.0.0.1", both->addresses().front().port}));
  const auto v4 = ListeningSockets::Open({"0.0.0.0", 0});
  ASSERT_TRUE(v4.ok()) << v4.status();
  EXPECT_TRUE(CanConnect({"127.0.0.1", v4->addresses().front().port}));
  EXPECT_FALSE(CanConnect({"::1", v4->addresses().front().port}));
}

TEST(ListeningSockets, HalfOfANameIsNotEnoughWhenAnotherProgramHasTheRest) {
  const auto taken = ListeningSockets::Open({"127.0.0.1", 0});
  ASSERT_TRUE(taken.ok()) << taken.status();
  const Address all{"localhost", taken->addresses().front().port};
  const auto refused = ListeningSockets::Open(all);
  EXPECT_EQ(refused.status(), absl::UnavailableError("cannot listen on " + all.ToString() +
                                                     ": another program listens there; --listen HOST:PORT chooses "
                                                     "another address (port 0: any free port)"));
}

TEST(ListeningSockets, ANameThatNobodyKnowsIsSaidInPlainWords) {
  const auto refused = ListeningSockets::Open({"no-such-host.invalid", 0});
  EXPECT_EQ(refused.status().message(),
            "cannot listen on no-such-host.invalid:0: no-such-host.invalid: no address found for this name (getent "
            "hosts no-such-host.invalid); --listen HOST:PORT chooses another address (port 0: any free port)");
}

}  // namespace
}  // namespace diptych
