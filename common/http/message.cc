#include "common/http/message.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace diptych {
namespace {

// RFC 9110, section 15; those that we answer with.
std::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
  }
  return "";
}

std::string OnOneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

}  // namespace

std::string_view HttpRequest::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase({key.data(), key.size()}, {name.data(), name.size()})) return value;
  }
  return {};
}

HttpResponse HttpRefusal(int status, std::string_view text) {
  return {.status = status,
          .body = absl::StrCat(status, " ", std::string(Reason(status)), ": ", std::string(text), "\n")};
}

std::string HttpResponseHead(const HttpResponse& response, bool keep_alive) {
  std::string head = absl::StrCat(
      "HTTP/1.1 ", response.status, " ", std::string(Reason(response.status)),
      "\r\nDate: ", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone()),
      "\r\nConnection: ", keep_alive ? "keep-alive" : "close", "\r\nContent-Type: ", OnOneLine(response.content_type),
      "\r\nContent-Length: ", response.body.size(), "\r\n");
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&head, OnOneLine(name), ": ", OnOneLine(value), "\r\n");
  }
  absl::StrAppend(&head, "\r\n");
  return head;
}

}  // namespace diptych
