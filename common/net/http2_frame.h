// The nine bytes before every frame of HTTP/2 (RFC 9113, 4.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace diptych {

inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Http2Frame {
  enum Type : uint8_t {
    kData = 0,
    kHeaders = 1,
    kPriority = 2,
    kRstStream = 3,
    kSettings = 4,
    kPushPromise = 5,
    kPing = 6,
    kGoaway = 7,
    kWindowUpdate = 8,
    kContinuation = 9,
  };
  static constexpr size_t kHeadBytes = 9;
  static constexpr uint8_t kEndStream = 0x1;   // of DATA and HEADERS
  static constexpr uint8_t kEndHeaders = 0x4;  // of HEADERS and CONTINUATION

  uint32_t length = 0;  // of what follows the nine bytes
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream = 0;

  bool ends_stream() const { return (type == kData || type == kHeaders) && (flags & kEndStream) != 0; }

  // `bytes` are nine.
  static Http2Frame Parse(std::string_view bytes) {
    const auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
    return {.length = at(0) << 16 | at(1) << 8 | at(2),
            .type = static_cast<uint8_t>(at(3)),
            .flags = static_cast<uint8_t>(at(4)),
            .stream = (at(5) & 0x7f) << 24 | at(6) << 16 | at(7) << 8 | at(8)};
  }
};

}  // namespace diptych
