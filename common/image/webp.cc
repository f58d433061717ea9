#include "common/image/webp.h"

#include <webp/encode.h>
#include <webp/mux.h>

#include <memory>
#include <new>

#include "common/error/error.h"
#include "common/image/exif.h"

namespace diptych {
namespace {

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

void Check(const Picture& picture, int quality) {
  const std::string size = std::to_string(picture.width) + "x" + std::to_string(picture.height) + " px";
  if (picture.width < 1 || picture.height < 1 || picture.width > kMaxWebpSide || picture.height > kMaxWebpSide) {
    Refuse("a picture of " + size + " cannot be a WebP; each side must be from 1 to " + std::to_string(kMaxWebpSide) +
           " px");
  }
  const size_t expected = 3 * static_cast<size_t>(picture.width) * static_cast<size_t>(picture.height);
  if (picture.rgb.size() != expected) {
    Refuse("a picture of " + size + " must have " + std::to_string(expected) + " bytes, not " +
           std::to_string(picture.rgb.size()));
  }
  if (quality < 1 || quality > 100) Refuse("WebP quality " + std::to_string(quality) + " is not from 1 to 100");
}

struct Mux {
  WebPMux* mux;
  ~Mux() { WebPMuxDelete(mux); }
};

std::string Pixels(const Picture& picture, int quality) {
  WebPConfig config;
  if (WebPConfigPreset(&config, WEBP_PRESET_DEFAULT, static_cast<float>(quality)) == 0) {
    throw Error(ErrorCode::kInternal, "libwebp is of another version than its header");
  }
  WebPPicture in;
  WebPMemoryWriter out;
  if (WebPPictureInit(&in) == 0) throw Error(ErrorCode::kInternal, "libwebp is of another version than its header");
  WebPMemoryWriterInit(&out);
  in.width = picture.width;
  in.height = picture.height;
  in.use_argb = 1;
  in.writer = WebPMemoryWrite;
  in.custom_ptr = &out;
  const bool done =
      WebPPictureImportRGB(&in, picture.rgb.data(), 3 * picture.width) != 0 && WebPEncode(&config, &in) != 0;
  const int reason = in.error_code;
  std::string bytes(reinterpret_cast<const char*>(out.mem), done ? out.size : 0);
  WebPPictureFree(&in);
  WebPMemoryWriterClear(&out);
  if (!done) throw Error(ErrorCode::kInternal, "libwebp: error " + std::to_string(reason));
  return bytes;
}

WebPData Data(std::string_view bytes) { return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}; }

}  // namespace

std::string EncodeWebp(const Picture& picture, int quality, const PictureText& text) {
  Check(picture, quality);
  const std::string exif = MakeExif(text);
  std::string pixels = Pixels(picture, quality);
  if (exif.empty()) return pixels;
  const WebPData all = Data(pixels), chunk = Data(exif);
  const Mux file{WebPMuxCreate(&all, /*copy_data=*/0)};
  WebPData assembled = {};
  if (file.mux == nullptr || WebPMuxSetChunk(file.mux, "EXIF", &chunk, /*copy_data=*/0) != WEBP_MUX_OK ||
      WebPMuxAssemble(file.mux, &assembled) != WEBP_MUX_OK) {
    throw Error(ErrorCode::kInternal, "libwebpmux cannot add the texts");
  }
  const std::unique_ptr<WebPData, void (*)(WebPData*)> owner(&assembled, WebPDataClear);
  return std::string(reinterpret_cast<const char*>(assembled.bytes), assembled.size);
}

PictureText ReadWebpText(std::string_view bytes) {
  const WebPData all = Data(bytes);
  const Mux file{WebPMuxCreate(&all, /*copy_data=*/0)};
  if (file.mux == nullptr) throw Error(ErrorCode::kDataLoss, "these bytes are not a whole WebP");
  WebPData chunk = {};
  if (WebPMuxGetChunk(file.mux, "EXIF", &chunk) != WEBP_MUX_OK) return {};
  return ReadExifText({reinterpret_cast<const char*>(chunk.bytes), chunk.size});
}

}  // namespace diptych
