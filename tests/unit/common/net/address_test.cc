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
  EXPECT_EQ(ParseAddress("127.1:80")->host, "127.0.0.1") << "as getent and ssh read it";
}

TEST(Address, SaysWhatIsWrong) {
  const auto reason = [](const char* text) {
    const absl::StatusOr<Address> address = ParseAddress(text);
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(address.status().message());
  };
  EXPECT_NE(reason("").find("no host and no port"), std::string::npos);
  EXPECT_NE(reason("localhost").find("no port"), std::string::npos);
  EXPECT_NE(reason(":80").find("no host"), std::string::npos);
  EXPECT_NE(reason("::1:80").find("needs brackets"), std::string::npos);
  EXPECT_NE(reason("[box]:80").find("no IPv6 address"), std::string::npos);
  EXPECT_NE(reason("1.2.3.4.5:80").find("neither a name nor an IP"), std::string::npos);
  EXPECT_NE(reason("999.1.1.1:80").find("neither a name nor an IP"), std::string::npos);
  EXPECT_NE(reason("http//box:80").find("neither a name nor an IP"), std::string::npos);
  EXPECT_NE(reason("unix:/tmp/x:80").find("a socket file is not supported"), std::string::npos);
  for (const char* text : {"box:", "box:http", "box:-1", "box:+1", "box: 1", "box:65536", "box:100000", "box:0"}) {
    EXPECT_NE(reason(text).find("the port is not a number from 1 to 65535"), std::string::npos) << text;
  }
}

TEST(Address, SaysWhatToWriteInsteadOfAnotherForm) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"http://127.0.0.1:7872", "leave \"http://\" out: write 127.0.0.1:7872"},
      {"HTTPS://box:7872/", "leave \"HTTPS://\" out: write box:7872"},
      {"grpc://[::1]:80/a/b?c", "leave \"grpc://\" out: write [::1]:80"},
      {"http://box", "leave \"http://\" out: write box:PORT"},
      {"http://::1", "leave \"http://\" out: write [::1]:PORT"},
      {"http://me@box:1", "leave \"http://\" out: write box:1"},
      {"http:box:1", "leave \"http:\" out: write box:1"},
      {"dns:///box:1", "leave \"dns:///\" out: write box:1"},
      {"ipv4:1.2.3.4:5", "leave \"ipv4:\" out: write 1.2.3.4:5"},
      {"http://", "leave \"http://\" out: write HOST:PORT"},
      {"box:7872/", "leave \"/\" out: write box:7872"},
      {"box:7872/v1/jobs", "leave \"/v1/jobs\" out: write box:7872"},
      {"me@box:22", "leave \"me@\" out: write box:22"},
      {"::1:7872", "an IPv6 address needs brackets: [::1]:7872"},
      {"fe80::1%eth0:80", "an IPv6 address needs brackets"},
      {"::1", "an IPv6 address needs brackets and a port: [::1]:PORT"},
      {"[::1]", "there is no port; write [::1]:PORT"},
      {"[::1]7872", "there is no colon behind the bracket; write [::1]:7872"},
      {"[::1:7872", "the bracket is not closed"},
      {"box", "there is no port; write box:PORT"},
      {"7872", "there is no host; write 127.0.0.1:7872"},
      {":7872", "there is no host; write 127.0.0.1:7872"},
      {"*:7872", "all addresses of this machine are [::]:7872"},
      {"box\uff1a7872", "its colon is a full-width one (U+FF1A); write box:7872"},
      {"http\uff1a//box\uff1a7872", "write http://box:7872"},
      {"a:1,b:2", "one address is wanted here, not several"},
      {"", "there is no host and no port"},
  };
  for (const auto& [text, piece] : rows) {
    const absl::Status status = ParseAddress(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(status.message().find(piece), std::string::npos) << text << " gets: " << status.message();
    EXPECT_NE(status.message().find("the form is HOST:PORT or [IPV6]:PORT"), std::string::npos) << status.message();
  }
}

TEST(Address, DoesNotCountBlanksAroundIt) { EXPECT_EQ(ParseAddress(" box:80\n")->ToString(), "box:80"); }

TEST(Address, PortZeroIsForListeningOnly) {
  EXPECT_TRUE(ParseListenAddress("127.0.0.1:0").ok());
  EXPECT_FALSE(ParseAddress("127.0.0.1:0").ok());
}

TEST(Address, IsNotWhereADaemonListensOnAllOfItsOwn) {
  for (const char* text : {"0.0.0.0:7872", "[::]:7872", "0.0:7872", "[::ffff:0.0.0.0]:7872", "[0:0::0]:7872"}) {
    EXPECT_TRUE(ParseListenAddress(text).ok()) << text;
    const absl::Status refused = ParseAddress(text).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(refused.message().find("write 127.0.0.1:7872 for this machine, or the name of the one that listens"),
              std::string::npos)
        << refused;
  }
}

TEST(Address, KnowsLoopback) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "LocalHost:1", "127.1:1",
                           "[::ffff:127.0.0.1]:1"}) {
    EXPECT_TRUE(IsLoopback(*ParseAddress(text))) << text;
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1", "box:1", "localhost.example:1"}) {
    EXPECT_FALSE(IsLoopback(*ParseListenAddress(text))) << text;
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
  EXPECT_NE(refused.message().find("--tls-cert"), std::string::npos) << refused;
}

TEST(Plaintext, WarnsOffLoopbackOnly) {
  EXPECT_EQ(PlaintextWarning({"::1", 80}, "listening on"), "");
  EXPECT_NE(PlaintextWarning({"::", 80}, "listening on").find("listening on [::]:80 without encryption"),
            std::string::npos);
}

}  // namespace
}  // namespace diptych
