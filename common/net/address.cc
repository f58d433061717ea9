#include "common/net/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/foreign_text/foreign_text.h"
#include "common/net/address_advice.h"
#include "common/net/host_lookup.h"

namespace diptych {
namespace {

absl::Status Malformed(const std::string& text, const std::string& reason) {
  return absl::InvalidArgumentError(
      absl::StrCat("address ", QuotedForeignText(text), ": ", reason, "; the form is HOST:PORT or [IPV6]:PORT"));
}

bool IsIpv4(const std::string& host) {
  in_addr parsed;
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1;
}

bool IsIpv6(const std::string& host) {
  in6_addr parsed;
  return inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &parsed) == 1;  // %ZONE of a link-local address
}

// `host` is an IPv4 or IPv6 address.
bool IsLoopbackNumber(const std::string& host) {
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6;
  if (inet_pton(AF_INET6, host.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

// 0.0.0.0 and ::, in every spelling.
bool IsUnspecified(const std::string& host) {
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return v4.s_addr == htonl(INADDR_ANY);
  in6_addr v6;
  if (inet_pton(AF_INET6, host.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_UNSPECIFIED(&v6) ||
         (IN6_IS_ADDR_V4MAPPED(&v6) && std::all_of(v6.s6_addr + 12, v6.s6_addr + 16, [](uint8_t b) { return b == 0; }));
}

// 127.1 and other short forms of an IPv4 address, as the system's tools take them: written in full.
std::string InFull(const std::string& host) {
  const bool digits_and_dots = !host.empty() && host.find('.') != std::string::npos &&
                               host.find_first_not_of("0123456789.") == std::string::npos;
  in_addr parsed = {};
  char text[INET_ADDRSTRLEN] = "";
  if (!digits_and_dots || inet_aton(host.c_str(), &parsed) == 0) return host;
  return inet_ntop(AF_INET, &parsed, text, sizeof text);
}

bool IsHostName(const std::string& host) {
  const bool characters = std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
  });
  const bool number_like =
      std::all_of(host.begin(), host.end(), [](unsigned char c) { return absl::ascii_isdigit(c) || c == '.'; });
  return characters && !number_like && host.size() <= 253;
}

absl::StatusOr<Address> Parse(std::string_view given, int least_port) {
  const std::string text(absl::StripAsciiWhitespace(absl::string_view(given.data(), given.size())));
  if (const std::optional<std::string> advice = AddressAdvice(text)) return Malformed(text, *advice);
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return Malformed(text, "there is no port");
  const std::string host = text.substr(0, colon);
  const std::string port_text = text.substr(colon + 1);

  Address address;
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    address.host = host.substr(1, host.size() - 2);
    if (!IsIpv6(address.host)) return Malformed(text, "there is no IPv6 address between the brackets");
  } else {
    address.host = InFull(host);
    if (host.empty()) return Malformed(text, "there is no host");
    if (!IsIpv4(address.host) && !IsHostName(address.host)) {
      return Malformed(text, "the host is neither a name nor an IP address");
    }
  }

  const bool digits =
      !port_text.empty() && port_text.size() <= 5 &&
      std::all_of(port_text.begin(), port_text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
  int port = -1;
  if (!digits || !absl::SimpleAtoi(port_text, &port) || port < least_port || port > 65535) {
    return Malformed(text, absl::StrCat("the port is not a number from ", least_port, " to 65535"));
  }
  address.port = static_cast<uint16_t>(port);
  return address;
}

}  // namespace

std::string Address::ToString() const {
  const bool v6 = host.find(':') != std::string::npos;
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]:" : ":", port);
}

absl::StatusOr<Address> ParseAddress(std::string_view text) {
  absl::StatusOr<Address> address = Parse(text, 1);
  if (!address.ok() || !IsUnspecified(address->host)) return address;
  return absl::InvalidArgumentError(absl::StrCat(
      "address ", address->ToString(), ": ", address->host,
      " stands for all addresses of a machine, and only a daemon listens there; write 127.0.0.1:", address->port,
      " for this machine, or the name of the one that listens"));
}

absl::StatusOr<Address> ParseListenAddress(std::string_view text) { return Parse(text, 0); }

bool IsLoopback(const Address& address) {
  if (IsIpv4(address.host) || IsIpv6(address.host)) return IsLoopbackNumber(address.host);
  const absl::StatusOr<std::vector<SocketAddress>> found = LookUp(address);
  if (!found.ok()) return absl::EqualsIgnoreCase(address.host, "localhost");
  return std::all_of(found->begin(), found->end(),
                     [](const SocketAddress& each) { return IsLoopbackNumber(each.ToAddress().host); });
}

absl::Status CheckPlaintextAllowed(const Address& address, bool insecure, std::string_view what) {
  if (insecure || IsLoopback(address)) return absl::OkStatus();
  if (!IsIpv4(address.host) && !IsIpv6(address.host)) {
    if (const absl::Status known = LookUp(address).status(); !known.ok()) return known;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      std::string(what), " ", address.ToString(),
      " would leave this machine without encryption: --tls-cert, --tls-key and --tls-ca encrypt it (docs/security.md); "
      "--insecure allows it as it is, and then anyone on the network can read prompts and pictures and submit work"));
}

std::string PlaintextWarning(const Address& address, std::string_view what) {
  if (IsLoopback(address)) return "";
  return absl::StrCat(
      std::string(what), " ", address.ToString(),
      " without encryption (--insecure): anyone on the network can read prompts and pictures and submit work");
}

}  // namespace diptych
