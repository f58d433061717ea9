#include "common/net/peer.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(Peer, IsTheHostThatItComesFrom) {
  EXPECT_EQ(HostOfPeer("ipv4:10.0.0.7:5123"), "10.0.0.7");
  EXPECT_EQ(HostOfPeer("ipv6:%5B::1%5D:5123"), "%5B::1%5D");
  EXPECT_EQ(HostOfPeer("unix-abstract:diptych/0123456789abcdef/10.0.0.7"), "10.0.0.7");
  EXPECT_EQ(HostOfPeer("unix-abstract:diptych/0123456789abcdef/2001:db8::7"), "2001:db8::7");
}

TEST(Peer, TakesTheShareOfItsNetwork) {
  EXPECT_EQ(NetworkOfHost("10.0.0.7"), "10.0.0.7");
  EXPECT_EQ(NetworkOfHost("%5B2001:db8:0:1::7%5D"), "[2001:db8:0:1::/64]");
  EXPECT_EQ(NetworkOfHost("[2001:db8:0:1:ffff::]"), "[2001:db8:0:1::/64]") << "it may have any of these addresses";
  EXPECT_NE(NetworkOfHost("[2001:db8:0:2::7]"), NetworkOfHost("[2001:db8:0:1::7]"));
  EXPECT_EQ(NetworkOfHost("%5B::ffff:10.0.0.7%5D"), "10.0.0.7");
  EXPECT_EQ(NetworkOfHost("%5Bfe80::1%25eth0%5D"), "[fe80::/64]");
  EXPECT_EQ(NetworkOfHost("%5B::1%5D"), "[::1]");
  EXPECT_EQ(NetworkOfHost("unix:/tmp/x"), "unix:/tmp/x");
  EXPECT_EQ(NetworkOfHost(""), "");
}

}  // namespace
}  // namespace diptych
