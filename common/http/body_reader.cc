#include "common/http/body_reader.h"

#include <algorithm>
#include <string_view>

#include "common/http/hex_digit.h"

namespace diptych {
namespace {

constexpr size_t kLongestSize = 16;  // digits of a chunk's size
constexpr std::string_view kLineEnd = "\r\n";

}  // namespace

BodyReader::BodyReader(std::optional<uint64_t> length, uint64_t limit)
    : limit_(limit), state_(length ? State::kPlainData : State::kChunkSize), left_(length.value_or(0)) {}

BodyReader::Progress BodyReader::Read(std::string* bytes) {
  std::string_view rest = *bytes;
  std::optional<Progress> progress;
  while (!progress) progress = Step(&rest);
  bytes->erase(0, bytes->size() - rest.size());
  return *progress;
}

// None: there may be more to read.
std::optional<BodyReader::Progress> BodyReader::Step(std::string_view* bytes) {
  switch (state_) {
    case State::kChunkSize:
      return ReadChunkSize(bytes);
    case State::kChunkData:
    case State::kPlainData: {
      if (left_ > limit_ - body_.size()) return Progress::kTooLarge;
      const size_t size = static_cast<size_t>(std::min<uint64_t>(left_, bytes->size()));
      body_.append(bytes->substr(0, size));
      bytes->remove_prefix(size);
      left_ -= size;
      if (left_ > 0) return Progress::kNeedsMore;
      if (state_ == State::kPlainData) return Progress::kDone;
      state_ = State::kChunkEnd;
      return std::nullopt;
    }
    case State::kChunkEnd: {
      const Progress end = ReadLineEnd(bytes);
      if (end != Progress::kDone) return end;
      state_ = State::kChunkSize;
      return std::nullopt;
    }
    case State::kLastLine:
      return ReadLineEnd(bytes);
  }
  return Progress::kMalformed;
}

std::optional<BodyReader::Progress> BodyReader::ReadChunkSize(std::string_view* bytes) {
  const size_t end = bytes->substr(0, kLongestSize + kLineEnd.size()).find(kLineEnd);
  if (end == std::string_view::npos) {
    if (bytes->size() >= kLongestSize + kLineEnd.size()) return Progress::kMalformed;
    return Progress::kNeedsMore;
  }
  if (end == 0) return Progress::kMalformed;
  left_ = 0;
  for (const char c : bytes->substr(0, end)) {
    const int digit = HexDigit(c);
    if (digit < 0) return Progress::kMalformed;
    left_ = left_ * 16 + static_cast<uint64_t>(digit);
  }
  bytes->remove_prefix(end + kLineEnd.size());
  state_ = left_ == 0 ? State::kLastLine : State::kChunkData;
  return std::nullopt;
}

BodyReader::Progress BodyReader::ReadLineEnd(std::string_view* bytes) {
  if (bytes->substr(0, kLineEnd.size()) != kLineEnd.substr(0, bytes->size())) return Progress::kMalformed;
  if (bytes->size() < kLineEnd.size()) return Progress::kNeedsMore;
  bytes->remove_prefix(kLineEnd.size());
  return Progress::kDone;
}

}  // namespace diptych
