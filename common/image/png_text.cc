#include "common/image/png_text.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace diptych {
namespace {

constexpr size_t kMostKeywordBytes = 79;
constexpr char kDeflate = 0;  // the only method of compression

std::string FromLatin1(std::string_view latin1) {
  std::string utf8;
  utf8.reserve(latin1.size());
  for (const char c : latin1) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      utf8.push_back(c);
    } else {
      utf8.push_back(static_cast<char>(0xc0 | (byte >> 6)));
      utf8.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
    }
  }
  return utf8;
}

// What stands before the next NUL, which is taken, too; nullopt: there is none.
std::optional<std::string_view> TakeUpToNul(std::string_view& bytes) {
  const size_t end = bytes.find('\0');
  if (end == bytes.npos) return std::nullopt;
  const std::string_view taken = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return taken;
}

bool HasItsChecksum(const PngChunk& chunk) {
  const std::string_view summed = chunk.whole.substr(4, 4 + chunk.data.size());  // name and data
  const std::string_view stated = chunk.whole.substr(8 + chunk.data.size());
  uint32_t sum = 0;
  for (const char c : stated) sum = sum << 8 | static_cast<uint8_t>(c);
  return crc32(0, reinterpret_cast<const Bytef*>(summed.data()), static_cast<uInt>(summed.size())) == sum;
}

class Inflater {
 public:
  explicit Inflater(std::string_view packed) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());  // a chunk has less than 2^31 bytes
    if (inflateInit(&stream_) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // False: damaged, or longer than `most` bytes; at most this many and a piece are in `out`.
  bool Unpack(size_t most, std::string& out) {
    constexpr size_t kPiece = size_t{16} << 10;
    for (int result = Z_OK; result != Z_STREAM_END;) {
      if (out.size() > most) return false;
      const size_t begin = out.size();
      out.resize(begin + kPiece);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + begin);
      stream_.avail_out = static_cast<uInt>(kPiece);
      result = inflate(&stream_, Z_NO_FLUSH);
      out.resize(out.size() - stream_.avail_out);
      if (result != Z_OK && result != Z_STREAM_END) return false;
      if (result == Z_OK && stream_.avail_in == 0 && stream_.avail_out != 0) return false;  // cut off
    }
    return out.size() <= most;
  }

 private:
  z_stream stream_ = {};
};

}  // namespace

void PngTextReader::Take(const PngChunk& chunk) {
  if (!IsPngText(chunk.name) || chunk.data.size() > limits_.max_text_bytes || !HasItsChecksum(chunk)) return;
  std::string_view rest = chunk.data;
  const auto keyword = TakeUpToNul(rest);
  if (!keyword || keyword->empty() || keyword->size() > kMostKeywordBytes) return;
  if (chunk.name == "tEXt") return TakeText(*keyword, rest, true);
  if (chunk.name == "zTXt") {
    if (!rest.empty() && rest[0] == kDeflate) TakeCompressed(*keyword, rest.substr(1), true);
    return;
  }
  if (rest.size() < 2) return;
  const char is_packed = rest[0], method = rest[1];
  rest.remove_prefix(2);
  const auto language = TakeUpToNul(rest), translated = TakeUpToNul(rest);
  if (!language || !translated) return;
  if (is_packed == 0) return TakeText(*keyword, rest, false);
  if (is_packed == 1 && method == kDeflate) TakeCompressed(*keyword, rest, false);
}

void PngTextReader::TakeText(std::string_view keyword, std::string_view value, bool is_latin1) {
  if (value.size() > bytes_left_ || text_.size() >= limits_.max_text_chunks) return;
  bytes_left_ -= value.size();
  text_.emplace_back(FromLatin1(keyword), is_latin1 ? FromLatin1(value) : std::string(value));
}

void PngTextReader::TakeCompressed(std::string_view keyword, std::string_view packed, bool is_latin1) {
  if (bytes_left_ == 0 || text_.size() >= limits_.max_text_chunks) return;
  std::string value;
  const bool whole = Inflater(packed).Unpack(std::min(limits_.max_text_bytes, bytes_left_), value);
  if (whole) return TakeText(keyword, value, is_latin1);
  bytes_left_ -= std::min(bytes_left_, value.size());
}

}  // namespace diptych
