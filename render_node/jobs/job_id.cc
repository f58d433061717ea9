#include "render_node/jobs/job_id.h"

#include <algorithm>
#include <memory>
#include <random>
#include <utility>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr int64_t kMaxUnixMs = (int64_t{1} << 48) - 1;

// 128 bits in 26 characters of 5: the first character carries only 3.
template <typename Bytes>
std::string Base32(const Bytes& bytes) {
  std::string text(kJobIdLength, '0');
  for (size_t character = 0; character < kJobIdLength; ++character) {
    unsigned value = 0;
    for (size_t bit = 0; bit < 5; ++bit) {
      const size_t at = 5 * character + bit;  // from the left, 2 leading zero bits
      if (at >= 2) value |= ((bytes[(at - 2) / 8] >> (7 - (at - 2) % 8)) & 1u) << (4 - bit);
    }
    text[character] = kAlphabet[value];
  }
  return text;
}

template <typename Bytes>
Bytes FromBase32(std::string_view text) {
  Bytes bytes{};
  for (size_t at = 2; at < 5 * kJobIdLength; ++at) {
    const size_t value = kAlphabet.find(text[at / 5]);
    bytes[(at - 2) / 8] |= ((value >> (4 - at % 5)) & 1u) << (7 - (at - 2) % 8);
  }
  return bytes;
}

}  // namespace

bool IsJobId(std::string_view text) {
  return text.size() == kJobIdLength && text[0] <= '7' && text.find_first_not_of(kAlphabet) == std::string_view::npos;
}

JobIdGenerator::JobIdGenerator(std::function<uint64_t()> random) : random_(std::move(random)) {}

void JobIdGenerator::StartAfter(std::string_view id) {
  if (!IsJobId(id)) throw Error(ErrorCode::kDataLoss, std::string(id) + " is not a job id");
  const std::lock_guard lock(mutex_);
  last_ = std::max(last_, FromBase32<Bytes>(id));
}

std::string JobIdGenerator::Next(int64_t unix_ms) {
  const std::lock_guard lock(mutex_);
  Bytes next;
  const auto ms = static_cast<uint64_t>(std::clamp<int64_t>(unix_ms, 0, kMaxUnixMs));
  for (int i = 0; i < 6; ++i) next[i] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  const uint64_t chance[2] = {random_(), random_()};
  for (int i = 0; i < 10; ++i) next[6 + i] = static_cast<uint8_t>(chance[i / 8] >> (8 * (i % 8)));
  if (next <= last_) {  // the same millisecond, or a clock that went back: one more than the last
    next = last_;
    for (int i = 15; i >= 0 && ++next[i] == 0; --i) {
    }
  }
  last_ = next;
  return Base32(next);
}

std::function<uint64_t()> SystemRandom() {
  auto device = std::make_shared<std::random_device>();
  return [device] { return (uint64_t{(*device)()} << 32) | (*device)(); };
}

}  // namespace diptych
