#include "common/image/jpeg_segments.h"

#include <cstddef>

namespace diptych {

JpegSegment TakeJpegSegment(std::string_view& bytes) {
  while (bytes.size() > 1 && bytes[0] == '\xFF' && bytes[1] == '\xFF') bytes.remove_prefix(1);  // filler
  if (bytes.size() < 4 || bytes[0] != '\xFF') return {};
  JpegSegment segment{.marker = static_cast<uint8_t>(bytes[1]), .data = {}, .whole = {}};
  if (segment.marker == JpegSegment::kScan || segment.marker == JpegSegment::kEnd) return {};
  const size_t length = static_cast<size_t>(static_cast<uint8_t>(bytes[2])) << 8 | static_cast<uint8_t>(bytes[3]);
  if (length < 2 || length > bytes.size() - 2) return {};
  segment.data = bytes.substr(4, length - 2);
  segment.whole = bytes.substr(0, length + 2);
  bytes.remove_prefix(length + 2);
  return segment;
}

}  // namespace diptych
