#include "common/net/address.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(Address, ReadsNamesAndBothKindsOfIp) {
  for (const char* text : {"localhost:7801", "127.0.0.1:1", "render-box.lan:65535", "[::1]:80", "[fe80::1%eth0]:80"}) {
    const absl::StatusOr<Address> address = ParseAddress(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
  }
  EXPECT_EQ(ParseAddress("[::1]:80")->host, "::1");
  EXPECT_EQ(ParseAddress("box:80")->port, 80);
}

TEST(Address, SaysWhatIsWrong) {
  const auto reason = [](const char* text) {
    const absl::StatusOr<Address> address = ParseAddress(text);
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(address.status().message());
  };
  EXPECT_NE(reason("").find("no port"), std::string::npos);
  EXPECT_NE(reason("localhost").find("no port"), std::string::npos);
  EXPECT_NE(reason(":80").find("no host"), std::string::npos);
  EXPECT_NE(reason("::1:80").find("needs brackets"), std::string::npos);
  EXPECT_NE(reason("[box]:80").find("no IPv6 address"), std::string::npos);
  EXPECT_NE(reason("1.2.3:80").find("neither a name nor an IP"), std::string::npos);
  EXPECT_NE(reason("999.1.1.1:80").find("neither a name nor an IP"), std::string::npos);
  EXPECT_NE(reason("http//box:80").find("neither a name nor an IP"), std::string::npos);
  EXPECT_NE(reason("unix:/tmp/x:80").find("needs brackets"), std::string::npos);
  for (const char* text : {"box:", "box:http", "box:-1", "box:+1", "box: 1", "box:65536", "box:100000", "box:0"}) {
    EXPECT_NE(reason(text).find("the port is not a number from 1 to 65535"), std::string::npos) << text;
  }
}

TEST(Address, PortZeroIsForListeningOnly) {
  EXPECT_TRUE(ParseListenAddress("127.0.0.1:0").ok());
  EXPECT_FALSE(ParseAddress("127.0.0.1:0").ok());
}

TEST(Address, KnowsLoopback) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "LocalHost:1"}) {
    EXPECT_TRUE(IsLoopback(*ParseAddress(text))) << text;
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1", "box:1", "localhost.example:1"}) {
    EXPECT_FALSE(IsLoopback(*ParseAddress(text))) << text;
  }
}

TEST(Plaintext, LeavesThisMachineOnlyWhenToldInsecure) {
  const Address near{"127.0.0.1", 80}, far{"0.0.0.0", 80};
  EXPECT_TRUE(CheckPlaintextAllowed(near, false, "listening on").ok());
  EXPECT_TRUE(CheckPlaintextAllowed(far, true, "listening on").ok());
  const absl::Status refused = CheckPlaintextAllowed(far, false, "listening on");
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(refused.message().find("listening on 0.0.0.0:80 "), 0u) << refused;
  EXPECT_NE(refused.message().find("--insecure"), std::string::npos) << refused;
  EXPECT_NE(refused.message().find("pairing"), std::string::npos) << refused;
}

TEST(Plaintext, WarnsOffLoopbackOnly) {
  EXPECT_EQ(PlaintextWarning({"::1", 80}, "listening on"), "");
  EXPECT_NE(PlaintextWarning({"::", 80}, "listening on").find("listening on [::]:80 without encryption"),
            std::string::npos);
}

}  // namespace
}  // namespace diptych
