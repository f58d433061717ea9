#include "common/image/decode_picture.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/error/error.h"
#include "common/image/decode_formats.h"
#include "common/image/picture_file.h"

namespace diptych {
namespace {

struct Signature {
  size_t at = 0;
  std::string_view bytes;
  std::string_view name;
};

constexpr Signature kSignatures[] = {
    {0, "GIF87a", "a GIF"},
    {0, "GIF89a", "a GIF"},
    {0, {"II*\0", 4}, "a TIFF"},
    {0, {"MM\0*", 4}, "a TIFF"},
    {0, {"II+\0", 4}, "a TIFF"},
    {0, {"MM\0+", 4}, "a TIFF"},
    {4, "ftypavi", "an AVIF"},
    {4, "ftyphei", "a HEIC"},
    {4, "ftyphev", "a HEIC"},
    {4, "ftypmif1", "a HEIC or AVIF"},
    {4, "ftypmsf1", "a HEIC or AVIF"},
    {4, "ftypcrx", "a camera's raw file"},
    {4, "ftyp", "a video"},
    {4, {"JXL \r\n\x87\n", 8}, "a JPEG XL"},
    {0, "\xFF\x0A", "a JPEG XL"},
    {4, {"jP  \r\n\x87\n", 8}, "a JPEG 2000"},
    {0, "\xFF\x4F\xFF\x51", "a JPEG 2000"},
    {0, "%PDF", "a PDF"},
    {0, "%!PS", "a PostScript file"},
    {0, "8BPS", "a Photoshop file"},
    {0, "BM", "a BMP"},
    {0, {"\0\0\1\0", 4}, "an icon (ICO)"},
    {0, "qoif", "a QOI"},
    {0, "\x76\x2F\x31\x01", "an OpenEXR"},
    {0, "#?RADIANCE", "a Radiance HDR"},
    {0, "gimp xcf", "a GIMP file"},
    {0, "\x1A\x45\xDF\xA3", "a video"},
    {0, "RIFF", "a sound or a video"},
    {0, {"PK\3\4", 4}, "a ZIP"},
    {0, "\x1F\x8B", "a gzip file"},
    {0,
     "\x7F"
     "ELF",
     "a program"},
    {0, "\x93NUMPY", "a NumPy array"},
    {0, "GGUF", "a GGUF model"},
    {0, "version https://git-lfs", "a Git LFS pointer and not the picture itself (git lfs pull fetches it)"},
};

bool IsText(std::string_view bytes) {
  return std::none_of(bytes.begin(), bytes.end(), [](char c) {
    return static_cast<uint8_t>(c) < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f';
  });
}

std::string_view WhatItSeemsToBe(std::string_view bytes) {
  if (bytes.empty()) return "empty";
  for (const Signature& signature : kSignatures) {
    if (bytes.size() >= signature.at && bytes.substr(signature.at, signature.bytes.size()) == signature.bytes) {
      return signature.name;
    }
  }
  const std::string_view head = bytes.substr(0, 1024);
  if (!IsText(head)) return "no picture of a known kind";
  if (head.find("<svg") != std::string_view::npos) return "an SVG";
  if (head.find("<html") != std::string_view::npos || head.find("<!DOCTYPE html") != std::string_view::npos ||
      head.find("<!doctype html") != std::string_view::npos) {
    return "a web page";
  }
  return "text";
}

PictureFormat FormatOf(std::string_view bytes) {
  if (const auto format = SniffPictureFormat(bytes)) return *format;
  if (bytes.substr(0, 4) == "\x89PNG") {
    throw Error(ErrorCode::kDataLoss, "the PNG is damaged: its first bytes were changed, as when it is sent as text");
  }
  throw Error(ErrorCode::kInvalidArgument,
              "this is " + std::string(WhatItSeemsToBe(bytes)) + "; PNG, JPEG and WebP are read");
}

PictureHead ReadHead(PictureFormat format, std::string_view bytes) {
  const PictureHead head = format == PictureFormat::kPng    ? ReadPngHead(bytes)
                           : format == PictureFormat::kJpeg ? ReadJpegHead(bytes)
                                                            : ReadWebpHead(bytes);
  if (head.width < 1 || head.height < 1 || head.width > INT32_MAX || head.height > INT32_MAX) {
    throw Error(ErrorCode::kDataLoss, "the " + std::string(PictureFormatName(format)) + " is damaged: it says it has " +
                                          std::to_string(head.width) + "x" + std::to_string(head.height) + " px");
  }
  return head;
}

void Check(PictureFormat format, const PictureHead& head, const DecodeLimits& limits) {
  if (head.width <= limits.max_side && head.height <= limits.max_side &&
      head.width * head.height <= limits.max_pixels) {
    return;
  }
  throw Error(ErrorCode::kInvalidArgument, "the " + std::string(PictureFormatName(format)) + " has " +
                                               std::to_string(head.width) + "x" + std::to_string(head.height) +
                                               " px; at most " + std::to_string(limits.max_side) + " px a side and " +
                                               std::to_string(limits.max_pixels) + " px in all are read");
}

bool SwapsSides(int orientation) { return orientation >= 5; }

// Where a step to the right and one down lead in the picture as it is stored, from which pixel.
struct Walk {
  int64_t start, right, down;
};

Walk WalkUpright(int64_t width, int64_t height, int orientation) {
  const int64_t last_x = width - 1, last_y = (height - 1) * width;
  switch (orientation) {
    case 2:
      return {last_x, -1, width};  // mirrored
    case 3:
      return {last_x + last_y, -1, -width};  // upside down
    case 4:
      return {last_y, 1, -width};
    case 5:
      return {0, width, 1};
    case 6:
      return {last_y, -width, 1};  // to be turned clockwise
    case 7:
      return {last_x + last_y, -width, -1};
    case 8:
      return {last_x, width, -1};
    default:
      return {0, 1, width};
  }
}

template <size_t channels>
std::vector<uint8_t> Upright(const std::vector<uint8_t>& pixels, int32_t width, int32_t height, int orientation) {
  const Walk walk = WalkUpright(width, height, orientation);
  const int32_t to_width = SwapsSides(orientation) ? height : width;
  const int32_t to_height = SwapsSides(orientation) ? width : height;
  std::vector<uint8_t> result(pixels.size());
  // In squares, so that neither side jumps through all of memory.
  constexpr int32_t kSquare = 64;
  for (int32_t top = 0; top < to_height; top += kSquare) {
    for (int32_t left = 0; left < to_width; left += kSquare) {
      for (int32_t y = top; y < std::min(to_height, top + kSquare); ++y) {
        for (int32_t x = left; x < std::min(to_width, left + kSquare); ++x) {
          const auto from = static_cast<size_t>(walk.start + x * walk.right + y * walk.down);
          const size_t to = static_cast<size_t>(y) * static_cast<size_t>(to_width) + static_cast<size_t>(x);
          for (size_t c = 0; c < channels; ++c) result[channels * to + c] = pixels[channels * from + c];
        }
      }
    }
  }
  return result;
}

void TurnUpright(DecodedPicture& decoded, int orientation) {
  if (orientation == 1) return;
  Picture& picture = decoded.picture;
  picture.rgb = Upright<3>(picture.rgb, picture.width, picture.height, orientation);
  if (decoded.alpha) decoded.alpha->grey = Upright<1>(decoded.alpha->grey, picture.width, picture.height, orientation);
  if (!SwapsSides(orientation)) return;
  std::swap(picture.width, picture.height);
  if (decoded.alpha) std::swap(decoded.alpha->width, decoded.alpha->height);
}

}  // namespace

DecodedPicture SplitAlpha(int32_t width, int32_t height, std::vector<uint8_t> rgba) {
  const size_t pixels = rgba.size() / 4;
  GreyPicture alpha{width, height, std::vector<uint8_t>(pixels)};
  for (size_t i = 0; i < pixels; ++i) {
    alpha.grey[i] = rgba[4 * i + 3];
    for (size_t c = 0; c < 3; ++c) rgba[3 * i + c] = rgba[4 * i + c];
  }
  rgba.resize(3 * pixels);
  return {{width, height, std::move(rgba)}, std::move(alpha)};
}

DecodedPicture DecodePicture(std::string_view bytes, const DecodeLimits& limits, const Pause& pause) {
  if (bytes.size() > limits.max_bytes) {
    throw Error(ErrorCode::kInvalidArgument, "the picture's file has " + std::to_string(bytes.size()) +
                                                 " bytes; at most " + std::to_string(limits.max_bytes) + " are read");
  }
  const PictureFormat format = FormatOf(bytes);
  const PictureHead head = ReadHead(format, bytes);
  Check(format, head, limits);
  DecodedPicture decoded = format == PictureFormat::kPng    ? DecodePngPixels(bytes, limits, pause)
                           : format == PictureFormat::kJpeg ? DecodeJpegPixels(bytes, limits, pause)
                                                            : DecodeWebpPixels(bytes, head);
  if (pause) pause();
  TurnUpright(decoded, head.orientation);
  return decoded;
}

PictureSize PeekPictureSize(std::string_view bytes) {
  const PictureHead head = ReadHead(FormatOf(bytes), bytes);
  PictureSize size{static_cast<int32_t>(head.width), static_cast<int32_t>(head.height), head.has_alpha};
  if (SwapsSides(head.orientation)) std::swap(size.width, size.height);
  return size;
}

GreyPicture GreyOf(const Picture& picture) {
  GreyPicture grey{picture.width, picture.height, std::vector<uint8_t>(picture.rgb.size() / 3)};
  for (size_t i = 0; i < grey.grey.size(); ++i) {
    const uint8_t* rgb = picture.rgb.data() + 3 * i;
    grey.grey[i] = static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
  }
  return grey;
}

}  // namespace diptych
