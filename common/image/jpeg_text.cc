#include "common/image/jpeg_text.h"

#include <algorithm>

#include "common/error/error.h"
#include "common/image/exif.h"
#include "common/image/jpeg_segments.h"

namespace diptych {
namespace {

constexpr uint8_t kApp0 = JpegSegment::kApp0, kApp1 = JpegSegment::kApp1, kApp11 = JpegSegment::kApp11;
constexpr std::string_view kPieceName("diptych\0", 8);  // a piece of an EXIF block that is too long for one segment
constexpr size_t kMostInSegment = 65535 - 2;

void AppendSegment(uint8_t marker, std::string_view name, std::string_view data, std::string& out) {
  const size_t length = 2 + name.size() + data.size();
  for (const size_t byte : {size_t{0xFF}, size_t{marker}, length >> 8, length & 0xff}) out += static_cast<char>(byte);
  out += name;
  out += data;
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
  std::string_view rest = bytes.substr(std::min(bytes.size(), kJpegStart.size()));
  std::string_view behind_first = rest;
  const JpegSegment first = TakeJpegSegment(behind_first);
  if (first.marker == kApp0) rest = behind_first;  // JFIF stays first
  return std::string(bytes.substr(0, bytes.size() - rest.size())) + TextSegments(text) + std::string(rest);
}

PictureText ReadJpegText(std::string_view bytes) {
  if (bytes.substr(0, kJpegStart.size()) != kJpegStart) throw Error(ErrorCode::kDataLoss, "these bytes are not a JPEG");
  bytes.remove_prefix(kJpegStart.size());
  PictureText text;
  std::string pieces;
  size_t bytes_read = 0;
  for (JpegSegment segment = TakeJpegSegment(bytes); !segment.whole.empty(); segment = TakeJpegSegment(bytes)) {
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
