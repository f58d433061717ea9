// A picture's file in one of the formats that Diptych writes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/image/picture.h"

namespace diptych {

enum class PictureFormat { kPng, kJpeg, kWebp };
std::string_view PictureFormatName(PictureFormat format);  // "PNG", "JPEG", "WebP"

// By its first bytes; nullopt: none of ours.
inline constexpr size_t kPictureSignatureBytes = 12;
std::optional<PictureFormat> SniffPictureFormat(std::string_view bytes);

// Throws Error(kDataLoss) for another one.
PictureFormat KnownPictureFormat(std::string_view bytes);

// `quality`, from 1 to 100, is for JPEG and WebP. Throws Error(kInvalidArgument) as the encoders do.
std::string EncodePicture(PictureFormat format, const Picture& picture, int quality, const PictureText& text);

// The texts of a file in any of the formats, without decoding it. Throws Error(kDataLoss) for another one.
PictureText ReadPictureText(std::string_view bytes);

}  // namespace diptych
