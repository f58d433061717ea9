#include "render_node/jobs/log_damage.h"

#include <algorithm>
#include <cstring>
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

struct Scan {
  int64_t readable = 0;  // frames before the first that is broken
  int64_t behind = 0;    // frames of the same log behind that one
  Bytes salts;           // of the header, if that is sound
};

Scan ScanLog(Bytes bytes) {
  Scan scan;
  if (bytes.size() < kHeader) return scan;
  Checksum checksum{.big_endian = (Word(bytes, 0) & 1) != 0};
  checksum.Add(bytes.first(24));
  const bool has_header = (Word(bytes, 0) & ~1u) == kMagic && checksum.Is(bytes, 24);
  const size_t frame_size = kFrameHeader + (has_header ? Word(bytes, 8) : kUsualPage);
  Bytes salts = bytes.subspan(16, kSalts);  // what was written before the log was begun anew has others
  if (has_header) scan.salts = salts;
  bool broken = !has_header;  // something before this frame is
  for (size_t at = kHeader; at + frame_size <= bytes.size(); at += frame_size) {
    const Bytes frame = bytes.subspan(at, frame_size);
    if (!has_header && at == kHeader) salts = frame.subspan(8, kSalts);
    const bool is_new = std::ranges::equal(frame.subspan(8, kSalts), salts);
    if (broken) {
      scan.behind += is_new ? 1 : 0;
      continue;
    }
    checksum.Add(frame.first(8));
    checksum.Add(frame.subspan(kFrameHeader));
    if (is_new && checksum.Is(frame, 16)) {
      ++scan.readable;
    } else {
      broken = true;  // the end, or damage: what follows tells
    }
  }
  return scan;
}

// What SQLite had committed to the log, and copied from it into the database. In the machine's own byte order.
struct Index {
  uint32_t committed = 0, copied = 0;
  std::vector<uint8_t> salts;
};

std::optional<Index> ReadIndex(const std::filesystem::path& file) {
  constexpr size_t kIndexHeader = 48, kInitialised = 12, kCommitted = 16, kIndexSalts = 32, kCopied = 96;
  if (!std::filesystem::exists(file)) return std::nullopt;
  const std::vector<uint8_t> bytes = ReadWholeFile(file);
  if (bytes.size() < kCopied + 4 || bytes[kInitialised] != 1) return std::nullopt;
  // Written twice, so that a half-written one is seen.
  if (!std::equal(bytes.begin(), bytes.begin() + kIndexHeader, bytes.begin() + kIndexHeader)) return std::nullopt;
  Index index;
  std::memcpy(&index.committed, bytes.data() + kCommitted, sizeof index.committed);
  std::memcpy(&index.copied, bytes.data() + kCopied, sizeof index.copied);
  index.salts.assign(bytes.begin() + kIndexSalts, bytes.begin() + kIndexSalts + kSalts);
  return index;
}

}  // namespace

std::optional<LogDamage> FindLogDamage(const std::filesystem::path& database) {
  const std::filesystem::path log = database.string() + "-wal";
  std::vector<uint8_t> bytes;
  if (std::filesystem::exists(log)) bytes = ReadWholeFile(log);
  const Scan scan = ScanLog(bytes);
  LogDamage damage{scan.readable, scan.behind};
  if (const std::optional<Index> index = ReadIndex(database.string() + "-shm")) {
    const int64_t readable = std::ranges::equal(scan.salts, index->salts) ? scan.readable : 0;
    const int64_t needed = index->committed > index->copied ? index->committed : 0;
    damage = {readable, std::max<int64_t>(0, needed - readable)};
  }
  if (damage.lost_pages == 0) return std::nullopt;
  return damage;
}

}  // namespace diptych
