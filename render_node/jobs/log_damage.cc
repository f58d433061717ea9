#include "render_node/jobs/log_damage.h"

#include <algorithm>
#include <span>
#include <vector>

#include "render_node/jobs/durable_file.h"

// All numbers of the file are big-endian. Header: magic, version, page size, sequence, two salts, two checksums. A
// frame: page number, size of the database after a commit, the salts, two checksums, the page.
namespace diptych {
namespace {

constexpr size_t kHeader = 32, kFrameHeader = 24, kSalts = 8;
constexpr uint32_t kMagic = 0x377F0682;  // its last bit: the checksums are over big-endian words
constexpr uint32_t kUsualPage = 4096;

using Bytes = std::span<const uint8_t>;

uint32_t Word(Bytes bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

struct Checksum {
  bool big_endian = false;
  uint32_t first = 0, second = 0;

  void Add(Bytes bytes) {  // of a multiple of 8
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      first += Read(bytes, i) + second;
      second += Read(bytes, i + 4) + first;
    }
  }
  bool Is(Bytes bytes, size_t at) const { return Word(bytes, at) == first && Word(bytes, at + 4) == second; }

 private:
  uint32_t Read(Bytes bytes, size_t at) const {
    const uint32_t word = Word(bytes, at);
    return big_endian ? word : word >> 24 | (word >> 8 & 0xFF00) | (word << 8 & 0xFF0000) | word << 24;
  }
};

}  // namespace

std::optional<LogDamage> FindLogDamage(const std::filesystem::path& log) {
  if (!std::filesystem::exists(log)) return std::nullopt;
  const std::vector<uint8_t> file = ReadWholeFile(log);
  const Bytes bytes(file);
  if (bytes.size() < kHeader) return std::nullopt;
  Checksum checksum{.big_endian = (Word(bytes, 0) & 1) != 0};
  checksum.Add(bytes.first(24));
  const bool has_header = (Word(bytes, 0) & ~1u) == kMagic && checksum.Is(bytes, 24);
  const size_t frame_size = kFrameHeader + (has_header ? Word(bytes, 8) : kUsualPage);

  LogDamage damage;
  Bytes salts = bytes.subspan(16, kSalts);  // what was written before the log was begun anew has others
  bool broken = !has_header;                // something before this frame is
  for (size_t at = kHeader; at + frame_size <= bytes.size(); at += frame_size) {
    const Bytes frame = bytes.subspan(at, frame_size);
    if (!has_header && at == kHeader) salts = frame.subspan(8, kSalts);
    const bool is_new = std::ranges::equal(frame.subspan(8, kSalts), salts);
    if (broken) {
      damage.lost_pages += is_new ? 1 : 0;
      continue;
    }
    checksum.Add(frame.first(8));
    checksum.Add(frame.subspan(kFrameHeader));
    if (is_new && checksum.Is(frame, 16)) {
      ++damage.readable_pages;
    } else {
      broken = true;  // the end, or damage: what follows tells
    }
  }
  if (damage.lost_pages == 0) return std::nullopt;
  return damage;
}

}  // namespace diptych
