#include "common/http/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <iterator>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace diptych {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

constexpr size_t kLongestMethod = 32;  // what is longer before the first space is no HTTP

std::string Copy(string_view text) { return {text.data(), text.size()}; }

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

struct RequestReader::Parser {
  http::request_parser<http::string_body> beast;
  std::function<void(uint64_t, string_view, error_code&)> no_extensions = [](uint64_t, string_view extensions,
                                                                             error_code& error) {
    if (!extensions.empty()) error = http::error::bad_chunk_extension;
  };
};

RequestReader::RequestReader(const HttpLimits& limits) : limits_(limits), parser_(std::make_unique<Parser>()) {
  parser_->beast.header_limit(static_cast<uint32_t>(limits.header_bytes + 1));
  parser_->beast.body_limit(std::numeric_limits<uint64_t>::max());  // the route's comes with ReadBody
  parser_->beast.on_chunk_header(parser_->no_extensions);
}

RequestReader::~RequestReader() = default;

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
  error_code error;
  parser_->beast.put(boost::asio::buffer(bytes->data(), size), error);
  if (error == http::error::bad_version) return Refuse(505, "this server speaks HTTP/1.1");
  if (error == http::error::bad_transfer_encoding || error == http::error::bad_content_length) {
    return Refuse(400, "a body has one length: one Content-Length, or Transfer-Encoding: chunked");
  }
  if (error || !parser_->beast.is_header_done()) return Refuse(400, "the headers are malformed");
  bytes->erase(0, size);

  const auto& message = parser_->beast.get();
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
  keep_alive_ = message.version() == 11 && message.keep_alive();
  return CheckBodyHeaders();
}

RequestReader::Progress RequestReader::CheckBodyHeaders() {
  const auto& message = parser_->beast.get();
  const auto lengths = message.count(http::field::content_length);
  const auto codings = message.count(http::field::transfer_encoding);
  if (lengths + codings > 1) {
    return Refuse(400, "a body has one length: one Content-Length, or Transfer-Encoding: chunked");
  }
  if (lengths == 1 && !IsDigits(Copy(message[http::field::content_length]))) {
    return Refuse(400, "Content-Length is a number");
  }
  if (codings == 1) {
    if (message.version() != 11) return Refuse(400, "Transfer-Encoding belongs to HTTP/1.1");
    if (!absl::EqualsIgnoreCase(Copy(message[http::field::transfer_encoding]), "chunked")) {
      return Refuse(501, "the transfer coding that this server knows is chunked");
    }
  }
  has_body_ = !parser_->beast.is_done();
  const std::string_view packed = request_.Header("Content-Encoding");
  if (has_body_ && !packed.empty() && packed != "identity") {
    return Refuse(415, "this server unpacks nothing: send the body without Content-Encoding");
  }
  const std::string expectation(request_.Header("Expect"));
  if (!expectation.empty() && !absl::EqualsIgnoreCase(expectation, "100-continue")) {
    return Refuse(417, "the expectation that this server knows is 100-continue");
  }
  expects_continue_ = has_body_ && message.version() == 11 && !expectation.empty();
  return Progress::kDone;
}

RequestReader::Progress RequestReader::ReadBody(std::string* bytes, uint64_t limit) {
  auto& beast = parser_->beast;
  const auto refuse_size = [&] {
    return Refuse(413, limit == 0 ? std::string("no body is taken here")
                                  : absl::StrCat("a body may have ", limit, " bytes here"));
  };
  if (beast.is_done()) return Progress::kDone;
  if (!beast.eager()) {  // the first time
    if (limit == 0 || beast.content_length().value_or(0) > limit) return refuse_size();
    beast.body_limit(limit);
    beast.eager(true);
  }
  while (!bytes->empty() && !beast.is_done()) {
    error_code error;
    const size_t taken = beast.put(boost::asio::buffer(*bytes), error);
    bytes->erase(0, taken);
    if (error == http::error::need_more) break;
    if (error == http::error::body_limit) return refuse_size();
    if (error) return Refuse(400, "the body's chunks are malformed, or carry extensions");
  }
  if (beast.is_done()) {
    request_.body = std::move(beast.get().body());
    return Progress::kDone;
  }
  // What Beast leaves is the beginning of a chunk's line, or of the trailers.
  if (bytes->size() > limits_.header_bytes) return Refuse(400, "a line between two chunks is too long");
  return Progress::kNeedsMore;
}

}  // namespace diptych
