// The bytes of a body, of a stated length or in chunks. No socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace diptych {

// RFC 9112, section 7.1, without what nobody here would look at: chunk extensions and trailers are malformed. Beast's
// reader takes both, of any number, and asserts on an empty body in chunks that comes in pieces (1.74).
class BodyReader {
 public:
  enum class Progress { kNeedsMore, kDone, kMalformed, kTooLarge };

  // `length`: as stated; none: chunks.
  BodyReader(std::optional<uint64_t> length, uint64_t limit);

  // Takes bytes from the front; what follows the body stays. kTooLarge as soon as a length or a chunk says so.
  Progress Read(std::string* bytes);

  std::string& body() { return body_; }

 private:
  enum class State { kChunkSize, kChunkData, kChunkEnd, kLastLine, kPlainData };

  std::optional<Progress> Step(std::string_view* bytes);
  std::optional<Progress> ReadChunkSize(std::string_view* bytes);
  Progress ReadLineEnd(std::string_view* bytes);

  const uint64_t limit_;
  State state_;
  uint64_t left_;  // of the length, or of the chunk
  std::string body_;
};

}  // namespace diptych
