#include "common/net/host_lookup.h"

#include <netinet/in.h>

#include <algorithm>

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(HostLookup, AnAddressStandsForItself) {
  for (const Address& address : {Address{"127.0.0.1", 7872}, Address{"::1", 0}, Address{"192.0.2.7", 9}}) {
    const auto found = LookUp(address);
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->size(), 1u);
    EXPECT_EQ(found->front().ToAddress(), address);
  }
}

TEST(HostLookup, LocalhostIsLoopbackEachAddressOnce) {
  const auto found = LookUp({"localhost", 7872});
  ASSERT_TRUE(found.ok()) << found.status();
  for (auto each = found->begin(); each != found->end(); ++each) {
    EXPECT_TRUE(IsLoopback(each->ToAddress())) << each->ToAddress().ToString();
    EXPECT_EQ(std::count_if(found->begin(), found->end(),
                            [&](const SocketAddress& other) { return other.ToAddress() == each->ToAddress(); }),
              1);
  }
}

TEST(HostLookup, ANameThatNobodyKnowsIsSaidInPlainWords) {
  const auto found = LookUp({"no-such-host.invalid", 7872});  // RFC 6761: never a name
  EXPECT_EQ(found.status().message(),
            "no-such-host.invalid: no address found for this name (getent hosts no-such-host.invalid)");
}

TEST(HostLookup, AnIpv4AddressThroughAnIpv6SocketIsIpv4) {
  SocketAddress mapped;
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&mapped.storage);
  mapped.size = sizeof *v6;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(7);
  const uint8_t bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 9};
  std::copy(std::begin(bytes), std::end(bytes), v6->sin6_addr.s6_addr);
  EXPECT_EQ(mapped.ToAddress(), (Address{"10.0.0.9", 7}));
}

}  // namespace
}  // namespace diptych
