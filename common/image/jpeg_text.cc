#include "common/image/jpeg_text.h"

#include <algorithm>

#include "common/error/error.h"
#include "common/image/exif.h"

namespace diptych {
namespace {

constexpr uint8_t kApp0 = 0xE0, kApp1 = 0xE1, kApp11 = 0xEB, kScan = 0xDA, kEnd = 0xD9;
constexpr std::string_view kStart = "\xFF\xD8";
constexpr std::string_view kExifName("Exif\0\0", 6);
constexpr std::string_view kPieceName("diptych\0", 8);  // a piece of an EXIF block that is too long for one segment
constexpr size_t kMostInSegment = 65535 - 2;

void AppendSegment(uint8_t marker, std::string_view name, std::string_view data, std::string& out) {
  const size_t length = 2 + name.size() + data.size();
  for (const size_t byte : {size_t{0xFF}, size_t{marker}, length >> 8, length & 0xff}) out += static_cast<char>(byte);
  out += name;
  out += data;
}

struct Segment {
  uint8_t marker = 0;
  std::string_view data;   // without the length
  std::string_view whole;  // with marker and length
};

// Takes the segment at the front; one without data for the end, the pixels, and bytes that are none.
Segment TakeSegment(std::string_view& bytes) {
  while (bytes.size() > 1 && bytes[0] == '\xFF' && bytes[1] == '\xFF') bytes.remove_prefix(1);  // filler
  if (bytes.size() < 4 || bytes[0] != '\xFF') return {};
  Segment segment{.marker = static_cast<uint8_t>(bytes[1]), .data = {}, .whole = {}};
  if (segment.marker == kScan || segment.marker == kEnd) return {};
  const size_t length = static_cast<size_t>(static_cast<uint8_t>(bytes[2])) << 8 | static_cast<uint8_t>(bytes[3]);
  if (length < 2 || length > bytes.size() - 2) return {};
  segment.data = bytes.substr(4, length - 2);
  segment.whole = bytes.substr(0, length + 2);
  bytes.remove_prefix(length + 2);
  return segment;
}

std::string TextSegments(const PictureText& text) {
  std::string out;
  std::string exif = MakeExif(text);
  if (exif.empty()) return out;
  if (exif.size() + kExifName.size() > kMostInSegment) {
    PictureText without = text;
    std::erase_if(without, [](const auto& entry) { return entry.first == kParametersKeyword; });
    exif = MakeExif(without);
  }
  if (exif.size() + kExifName.size() <= kMostInSegment) {
    AppendSegment(kApp1, kExifName, exif, out);
    return out;
  }
  constexpr size_t kPiece = kMostInSegment - kPieceName.size();
  for (size_t at = 0; at < exif.size(); at += kPiece) {
    AppendSegment(kApp11, kPieceName, std::string_view(exif).substr(at, kPiece), out);
  }
  return out;
}

}  // namespace

std::string WithJpegText(const std::vector<uint8_t>& jpeg, const PictureText& text) {
  const std::string_view bytes(reinterpret_cast<const char*>(jpeg.data()), jpeg.size());
  std::string_view rest = bytes.substr(std::min(bytes.size(), kStart.size()));
  std::string_view behind_first = rest;
  const Segment first = TakeSegment(behind_first);
  if (first.marker == kApp0) rest = behind_first;  // JFIF stays first
  return std::string(bytes.substr(0, bytes.size() - rest.size())) + TextSegments(text) + std::string(rest);
}

PictureText ReadJpegText(std::string_view bytes) {
  if (bytes.substr(0, kStart.size()) != kStart) throw Error(ErrorCode::kDataLoss, "these bytes are not a JPEG");
  bytes.remove_prefix(kStart.size());
  PictureText text;
  std::string pieces;
  size_t bytes_read = 0;
  for (Segment segment = TakeSegment(bytes); !segment.whole.empty(); segment = TakeSegment(bytes)) {
    if (segment.marker == kApp1 && segment.data.substr(0, kExifName.size()) == kExifName) {
      for (auto& entry : ReadExifText(segment.data)) {
        bytes_read += entry.second.size();
        text.push_back(std::move(entry));
      }
    } else if (segment.marker == kApp11 && segment.data.substr(0, kPieceName.size()) == kPieceName) {
      pieces += segment.data.substr(kPieceName.size());
    }
    if (bytes_read > kMostExifTextBytes || pieces.size() > 2 * kMostExifTextBytes) break;
  }
  for (auto& entry : ReadExifText(pieces)) text.push_back(std::move(entry));
  return text;
}

}  // namespace diptych
