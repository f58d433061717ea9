#include "render_node/service/picture_chunks.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/digest/sha256.h"

namespace diptych {
namespace {

constexpr std::array<uint8_t, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
// The last chunk of every PNG: no data, the name, its CRC.
constexpr std::array<uint8_t, 12> kPngEnd = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xAE, 0x42, 0x60, 0x82};

}  // namespace

absl::Status CheckWholePng(const std::vector<uint8_t>& png) {
  if (png.size() >= kPngSignature.size() + kPngEnd.size() &&
      std::equal(kPngSignature.begin(), kPngSignature.end(), png.begin()) &&
      std::equal(kPngEnd.begin(), kPngEnd.end(), png.end() - kPngEnd.size())) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("the stored picture (", png.size(), " bytes) is not a whole PNG; submit the job again"));
}

absl::Status SendPicture(const std::vector<uint8_t>& png, const std::function<bool(const v1::PictureChunk&)>& write) {
  const int64_t byte_count = static_cast<int64_t>(png.size());
  const std::string sha256 = Sha256Hex(png.data(), png.size());
  for (int64_t offset = 0; offset < byte_count; offset += kMaxPictureChunkBytes) {
    const int64_t size = std::min(kMaxPictureChunkBytes, byte_count - offset);
    v1::PictureChunk chunk;
    chunk.set_offset(offset);
    chunk.set_data(png.data() + offset, size);
    chunk.set_byte_count(byte_count);
    chunk.set_sha256(sha256);
    if (!write(chunk)) return absl::CancelledError("the watcher has left");
  }
  return absl::OkStatus();
}

}  // namespace diptych
