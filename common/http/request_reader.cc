#include "common/http/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace diptych {
namespace {

namespace http = boost::beast::http;

constexpr size_t kLongestMethod = 32;  // what is longer before the first space is no HTTP
constexpr std::string_view kOneLength = "a body has one length: one Content-Length, or Transfer-Encoding: chunked";

template <typename Text>  // Boost's string_view, which is another class in every second version
std::string Copy(const Text& text) {
  return {text.data(), text.size()};
}

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int64_t Count(const HttpRequest& request, std::string_view name) {
  return std::count_if(request.headers.begin(), request.headers.end(),
                       [&](const auto& header) { return absl::EqualsIgnoreCase(header.first, std::string(name)); });
}

}  // namespace

RequestReader::Progress RequestReader::Refuse(int status, std::string_view text) {
  refusal_ = HttpRefusal(status, text);
  return Progress::kRefused;
}

RequestReader::Progress RequestReader::ReadHeader(std::string* bytes) {
  for (; seen_ < bytes->size(); ++seen_) {
    const char c = (*bytes)[seen_];
    const bool after_cr = seen_ > line_begin_ && (*bytes)[seen_ - 1] == '\r';
    if (seen_ >= limits_.header_bytes) {
      return Refuse(431, absl::StrCat("request line and headers may have ", limits_.header_bytes, " bytes"));
    }
    if (after_cr != (c == '\n')) return Refuse(400, "every line ends with CR LF, and neither stands elsewhere");
    if (c == '\n') {
      if (seen_ == line_begin_ + 1) {
        if (lines_ == 0) return Refuse(400, "a request begins with its request line");
        return Parse(bytes, seen_ + 1);
      }
      if (++lines_ > limits_.header_count + 1) {
        return Refuse(431, absl::StrCat("a request may have ", limits_.header_count, " headers"));
      }
      line_begin_ = seen_ + 1;
    } else if (lines_ > 0) {
      if (seen_ == line_begin_ && (c == ' ' || c == '\t')) return Refuse(400, "a header stands on one line");
    } else if (c == ' ') {
      if (++spaces_ == 1) target_begin_ = seen_ + 1;
    } else if (spaces_ == 0 && seen_ >= kLongestMethod) {
      return Refuse(400, "this is not HTTP/1.1");
    } else if (spaces_ == 1 && seen_ - target_begin_ >= limits_.target_bytes) {
      return Refuse(414, absl::StrCat("path and query may have ", limits_.target_bytes, " bytes"));
    }
  }
  return Progress::kNeedsMore;
}

RequestReader::Progress RequestReader::Parse(std::string* bytes, size_t size) {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(static_cast<uint32_t>(limits_.header_bytes + 1));
  parser.body_limit(std::numeric_limits<uint64_t>::max());  // the route's comes with ReadBody
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(bytes->data(), size), error);
  if (error == http::error::bad_version) return Refuse(505, "this server speaks HTTP/1.1");
  if (error == http::error::bad_transfer_encoding || error == http::error::bad_content_length) {
    return Refuse(400, kOneLength);
  }
  if (error || !parser.is_header_done()) return Refuse(400, "the headers are malformed");
  bytes->erase(0, size);

  const auto& message = parser.get();
  request_.method = Copy(message.method_string());
  std::string target = Copy(message.target());
  if (absl::StartsWithIgnoreCase(target, "http://")) {  // as proxies write it; the host is the Host header's business
    const size_t path = target.find('/', 7);
    target = path == std::string::npos ? "/" : target.substr(path);
  }
  if (target.front() != '/' ||
      !std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
    return Refuse(400, "a target begins with '/' and is ASCII");
  }
  const size_t query = target.find('?');
  request_.path = target.substr(0, query);
  if (query != std::string::npos) request_.query = target.substr(query + 1);
  for (const auto& field : message) request_.headers.emplace_back(Copy(field.name_string()), Copy(field.value()));
  const bool http11 = message.version() == 11;
  keep_alive_ = http11 && message.keep_alive();
  return CheckHeaders(http11);
}

RequestReader::Progress RequestReader::CheckHeaders(bool http11) {
  const std::string coding(request_.Header("Transfer-Encoding"));
  const std::string length(request_.Header("Content-Length"));
  const int64_t codings = Count(request_, "Transfer-Encoding"), lengths = Count(request_, "Content-Length");
  if (codings + lengths > 1) return Refuse(400, kOneLength);
  if (lengths == 1 && (!IsDigits(length) || !absl::SimpleAtoi(length, &length_))) {
    return Refuse(400, "Content-Length is a number");
  }
  if (codings == 1) {
    if (!http11) return Refuse(400, "Transfer-Encoding belongs to HTTP/1.1");
    if (!absl::EqualsIgnoreCase(coding, "chunked")) {
      return Refuse(501, "the transfer coding that this server knows is chunked");
    }
    chunked_ = true;
  }
  const std::string_view packed = request_.Header("Content-Encoding");
  if (has_body() && !packed.empty() && packed != "identity") {
    return Refuse(415, "this server unpacks nothing: send the body without Content-Encoding");
  }
  const std::string expectation(request_.Header("Expect"));
  if (!expectation.empty() && !absl::EqualsIgnoreCase(expectation, "100-continue")) {
    return Refuse(417, "the expectation that this server knows is 100-continue");
  }
  expects_continue_ = has_body() && http11 && !expectation.empty();
  return Progress::kDone;
}

RequestReader::Progress RequestReader::ReadBody(std::string* bytes, uint64_t limit) {
  if (!has_body()) return Progress::kDone;
  if (limit == 0) return Refuse(413, "no body is taken here");
  if (!body_) body_.emplace(chunked_ ? std::nullopt : std::optional(length_), limit);
  switch (body_->Read(bytes)) {
    case BodyReader::Progress::kNeedsMore:
      return Progress::kNeedsMore;
    case BodyReader::Progress::kMalformed:
      return Refuse(400, "the body's chunks are malformed, or have extensions or trailers");
    case BodyReader::Progress::kTooLarge:
      return Refuse(413, absl::StrCat("a body may have ", limit, " bytes here"));
    case BodyReader::Progress::kDone:
      break;
  }
  request_.body = std::move(body_->body());
  return Progress::kDone;
}

}  // namespace diptych
