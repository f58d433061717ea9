#include <webp/decode.h>

#include <new>
#include <string>
#include <utility>
#include <vector>

#include "common/error/error.h"
#include "common/image/decode_formats.h"
#include "common/image/exif.h"
#include "common/image/webp_chunks.h"

namespace diptych {
namespace {

[[noreturn]] void Damaged(const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, "the WebP is damaged: " + reason);
}

std::string Reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "out of memory";
    case VP8_STATUS_BITSTREAM_ERROR:
      return "its pixels cannot be decoded";
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return "the file ends too early";
    default:
      return "libwebp's error " + std::to_string(status);
  }
}

const uint8_t* Begin(std::string_view bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }

}  // namespace

PictureHead ReadWebpHead(std::string_view bytes) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(Begin(bytes), bytes.size(), &features);
  if (status != VP8_STATUS_OK) Damaged(Reason(status));
  if (features.has_animation != 0) {
    throw Error(ErrorCode::kInvalidArgument, "this is an animated WebP; a single picture is read");
  }
  PictureHead head{.width = features.width, .height = features.height, .has_alpha = features.has_alpha != 0};
  bool cut = false;
  if (const auto exif = FindWebpChunk(bytes, "EXIF", &cut)) head.orientation = ReadExifOrientation(*exif);
  return head;
}

DecodedPicture DecodeWebpPixels(std::string_view bytes, const PictureHead& head) {
  bool cut = false;
  FindWebpChunk(bytes, "", &cut);
  if (cut) Damaged("the file ends too early");
  const size_t channels = head.has_alpha ? 4 : 3;
  const auto width = static_cast<int32_t>(head.width), height = static_cast<int32_t>(head.height);
  const size_t row_bytes = channels * static_cast<size_t>(width);
  std::vector<uint8_t> pixels(row_bytes * static_cast<size_t>(height));
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) {
    throw Error(ErrorCode::kInternal, "libwebp is of another version than its header");
  }
  config.output.colorspace = head.has_alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = pixels.data();
  config.output.u.RGBA.size = pixels.size();
  config.output.u.RGBA.stride = static_cast<int>(row_bytes);
  const VP8StatusCode status = WebPDecode(Begin(bytes), bytes.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (status == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
  if (status != VP8_STATUS_OK) Damaged(Reason(status));
  if (head.has_alpha) return SplitAlpha(width, height, std::move(pixels));
  return {{width, height, std::move(pixels)}, std::nullopt};
}

}  // namespace diptych
