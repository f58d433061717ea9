#include "common/net/address_advice.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace diptych {
namespace {

constexpr char kPort[] = "PORT";

bool IsNumber(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

bool IsIpv6(const std::string& host) {
  in6_addr parsed;
  return inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &parsed) == 1;
}

// "box", "box:7872", "::1" and "[::1]:7872" as they must be written.
std::string Whole(const std::string& rest) {
  if (rest.empty()) return absl::StrCat("HOST:", kPort);
  if (IsIpv6(rest)) return absl::StrCat("[", rest, "]:", kPort);
  if (rest.back() == ']' || rest.find(':') == std::string::npos) return absl::StrCat(rest, ":", kPort);
  return rest;
}

// The schemes of web addresses and of gRPC's names, with all that belongs to them: "http://", "dns:///", "ipv4:".
std::string_view SchemeOf(std::string_view text) {
  if (const size_t at = text.find("://"); at != text.npos) {
    const size_t end = text.find_first_not_of('/', at + 1);
    return text.substr(0, end);
  }
  for (const std::string_view scheme : {"http:", "https:", "grpc:", "tcp:", "dns:", "ipv4:", "ipv6:"}) {
    const bool begins = text.size() > scheme.size() &&
                        absl::AsciiStrToLower(std::string(text.substr(0, scheme.size()))) == std::string(scheme);
    // "http:80" is a host with that name.
    if (begins && !IsNumber(text.substr(scheme.size())))
      return text.substr(0, text.find_first_not_of('/', scheme.size()));
  }
  return "";
}

std::string LeaveOut(std::string_view part, const std::string& rest) {
  return absl::StrCat("leave \"", std::string(part), "\" out: write ", Whole(rest));
}

}  // namespace

std::optional<std::string> AddressAdvice(std::string_view text) {
  constexpr std::string_view kWideColon = "\xEF\xBC\x9A";  // U+FF1A, as input methods for Chinese and Japanese write it
  if (text.find(kWideColon) != text.npos) {
    return absl::StrCat("its colon is a full-width one (U+FF1A); write ",
                        absl::StrReplaceAll(absl::string_view(text.data(), text.size()),
                                            {{absl::string_view(kWideColon.data(), kWideColon.size()), ":"}}));
  }
  if (text.rfind("unix:", 0) == 0) return "a socket file is not supported; a port of this machine is 127.0.0.1:PORT";
  if (text.find_first_of(", \t") != text.npos && text.find(':') != text.rfind(':')) {
    return "one address is wanted here, not several";
  }
  const std::string_view scheme = SchemeOf(text);
  std::string_view rest = text.substr(scheme.size());
  const size_t slash = rest.find_first_of("/?#");
  const std::string_view path = slash == rest.npos ? "" : rest.substr(slash);
  rest = rest.substr(0, slash);
  const size_t at = rest.rfind('@');
  const std::string_view user = at == rest.npos ? "" : rest.substr(0, at + 1);
  rest = rest.substr(user.size());
  const std::string bare(rest);
  // A path alone may be a slip of another kind: "http//box:80".
  if (!scheme.empty()) return LeaveOut(scheme, bare);
  if (!user.empty()) return LeaveOut(user, bare);
  if (!path.empty() && rest.find(':') != rest.npos) return LeaveOut(path, bare);
  if (!path.empty()) return std::nullopt;

  if (bare.empty()) return "there is no host and no port";
  if (IsNumber(bare)) return absl::StrCat("there is no host; write 127.0.0.1:", bare, " for a port of this machine");
  if (bare[0] == ':' && IsNumber(bare.substr(1))) {
    return absl::StrCat("there is no host; write 127.0.0.1", bare, " for a port of this machine");
  }
  if (bare[0] == '*')
    return absl::StrCat("there is no host \"*\"; all addresses of this machine are [::]", bare.substr(1));
  if (bare[0] == '[') {
    const size_t end = bare.find(']');
    if (end == bare.npos) return "the bracket is not closed";
    if (end + 1 == bare.size()) return absl::StrCat("there is no port; write ", bare, ":", kPort);
    if (bare[end + 1] != ':') {
      return absl::StrCat("there is no colon behind the bracket; write ", bare.substr(0, end + 1), ":",
                          bare.substr(end + 1));
    }
    return std::nullopt;
  }
  const size_t last = bare.rfind(':');
  if (last == bare.npos) return absl::StrCat("there is no port; write ", bare, ":", kPort);
  if (bare.find(':') == last) return std::nullopt;
  const std::string host = bare.substr(0, last), port = bare.substr(last + 1);
  // "::1:7872" may be a host alone, too; with a number behind it that can be a port it is hardly one.
  if (IsIpv6(host) && IsNumber(port)) return absl::StrCat("an IPv6 address needs brackets: [", host, "]:", port);
  if (IsIpv6(bare)) return absl::StrCat("an IPv6 address needs brackets and a port: [", bare, "]:", kPort);
  return "there are several colons, and an IPv6 address needs brackets";
}

}  // namespace diptych
