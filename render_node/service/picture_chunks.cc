#include "render_node/service/picture_chunks.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace diptych {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1A\n"sv;
// The last chunk of every PNG: no data, the name, its CRC.
constexpr std::string_view kPngEnd = "\0\0\0\0IEND\xAE\x42\x60\x82"sv;

}  // namespace

absl::Status CheckWholePng(const PictureFile& png) {
  constexpr auto kBegin = static_cast<int64_t>(kPngSignature.size()), kEnd = static_cast<int64_t>(kPngEnd.size());
  if (png.size() >= kBegin + kEnd && png.Read(0, kBegin) == kPngSignature &&
      png.Read(png.size() - kEnd, kEnd) == kPngEnd) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("the stored picture (", png.size(), " bytes) is not a whole PNG; submit the job again"));
}

v1::PictureChunk PictureChunkAt(const PictureFile& png, int64_t offset) {
  v1::PictureChunk chunk;
  chunk.set_offset(offset);
  chunk.set_data(png.Read(offset, std::min(kPictureChunkBytes, png.size() - offset)));
  chunk.set_byte_count(png.size());
  chunk.set_sha256(png.sha256());
  return chunk;
}

}  // namespace diptych
