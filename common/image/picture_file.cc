#include "common/image/picture_file.h"

#include "common/error/error.h"
#include "common/image/jpeg.h"
#include "common/image/jpeg_text.h"
#include "common/image/png.h"
#include "common/image/webp.h"

namespace diptych {

std::string_view PictureFormatName(PictureFormat format) {
  switch (format) {
    case PictureFormat::kPng:
      return "PNG";
    case PictureFormat::kJpeg:
      return "JPEG";
    case PictureFormat::kWebp:
      return "WebP";
  }
  return "";
}

std::optional<PictureFormat> SniffPictureFormat(std::string_view bytes) {
  if (bytes.substr(0, 8) == "\x89PNG\r\n\x1a\n") return PictureFormat::kPng;
  if (bytes.substr(0, 3) == "\xFF\xD8\xFF") return PictureFormat::kJpeg;
  if (bytes.substr(0, 4) == "RIFF" && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP") return PictureFormat::kWebp;
  return std::nullopt;
}

std::string EncodePicture(PictureFormat format, const Picture& picture, int quality, const PictureText& text) {
  switch (format) {
    case PictureFormat::kPng:
      return EncodePng(picture, text);
    case PictureFormat::kJpeg:
      return WithJpegText(EncodeJpeg(picture, quality), text);
    case PictureFormat::kWebp:
      return EncodeWebp(picture, quality, text);
  }
  return "";
}

PictureFormat KnownPictureFormat(std::string_view bytes) {
  if (const std::optional<PictureFormat> format = SniffPictureFormat(bytes)) return *format;
  throw Error(ErrorCode::kDataLoss, "these bytes are neither a PNG nor a JPEG nor a WebP");
}

PictureText ReadPictureText(std::string_view bytes) {
  switch (KnownPictureFormat(bytes)) {
    case PictureFormat::kPng:
      return ReadPngText(bytes);
    case PictureFormat::kJpeg:
      return ReadJpegText(bytes);
    case PictureFormat::kWebp:
      return ReadWebpText(bytes);
  }
  return {};
}

}  // namespace diptych
