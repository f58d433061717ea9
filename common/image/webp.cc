#include "common/image/webp.h"

#include <webp/encode.h>
#include <webp/mux.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>

#include "common/error/error.h"
#include "common/image/exif.h"
#include "common/image/webp_chunks.h"

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

constexpr size_t kRiffHead = 12;  // "RIFF", size of what follows, "WEBP"
constexpr size_t kChunkHead = 8;  // name and size

uint32_t LittleEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 4; i > 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
  return value;
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

std::optional<std::string_view> FindWebpChunk(std::string_view bytes, std::string_view wanted, bool* cut) {
  if (bytes.size() < kRiffHead || bytes.substr(0, 4) != "RIFF" || bytes.substr(8, 4) != "WEBP") {
    throw Error(ErrorCode::kDataLoss, "these bytes are not a WebP");
  }
  // libwebpmux keeps an entry for every chunk of a file, and a file can have one in 8 bytes; here nothing is kept.
  bytes = bytes.substr(0, std::min<uint64_t>(bytes.size(), uint64_t{8} + LittleEndian(bytes.substr(4))));
  *cut = bytes.size() < kRiffHead;
  if (*cut) return std::nullopt;
  for (bytes.remove_prefix(kRiffHead); bytes.size() >= kChunkHead;) {
    const std::string_view name = bytes.substr(0, 4);
    const uint64_t size = LittleEndian(bytes.substr(4));
    bytes.remove_prefix(kChunkHead);
    *cut = size > bytes.size();
    if (*cut) return std::nullopt;
    if (name == wanted) return bytes.substr(0, size);
    bytes.remove_prefix(std::min<uint64_t>(size + size % 2, bytes.size()));
  }
  return std::nullopt;
}

PictureText ReadWebpText(std::string_view bytes) {
  bool cut = false;
  const auto exif = FindWebpChunk(bytes, "EXIF", &cut);
  if (cut) throw Error(ErrorCode::kDataLoss, "these bytes are not a whole WebP");
  return exif ? ReadExifText(*exif) : PictureText{};
}

}  // namespace diptych
