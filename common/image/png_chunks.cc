#include "common/image/png_chunks.h"

#include <cstdint>
#include <string>

#include "common/error/error.h"
#include "common/image/png.h"

namespace diptych {
namespace {

constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
constexpr size_t kHeadBytes = 8;  // length and name
constexpr size_t kSumBytes = 4;

size_t ReadLength(std::string_view bytes) {
  size_t length = 0;
  for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(bytes[i]);
  return length;
}

}  // namespace

bool IsPngText(std::string_view name) { return name == "tEXt" || name == "zTXt" || name == "iTXt"; }

bool ForEachPngChunk(std::string_view bytes, const std::function<void(const PngChunk&)>& visit, std::string_view* cut) {
  if (bytes.substr(0, kSignature.size()) != kSignature) {
    throw Error(ErrorCode::kDataLoss, "these bytes are not a PNG");
  }
  bytes.remove_prefix(kSignature.size());
  while (bytes.size() >= kHeadBytes) {
    const size_t length = ReadLength(bytes);
    const std::string_view name = bytes.substr(4, 4);
    if (length > bytes.size() - kHeadBytes || bytes.size() - kHeadBytes - length < kSumBytes) {
      if (cut != nullptr) *cut = name;
      return false;
    }
    const size_t whole = kHeadBytes + length + kSumBytes;
    visit({name, bytes.substr(kHeadBytes, length), bytes.substr(0, whole)});
    if (name == "IEND") return true;
    bytes.remove_prefix(whole);
  }
  return false;
}

std::string WithoutPngText(std::string_view bytes) {
  std::string out(kSignature);
  out.reserve(bytes.size());
  const bool whole = ForEachPngChunk(bytes, [&](const PngChunk& chunk) {
    if (!IsPngText(chunk.name) && chunk.name != "eXIf") out += chunk.whole;
  });
  if (!whole) throw Error(ErrorCode::kDataLoss, "the PNG is damaged: the file ends too early");
  return out;
}

}  // namespace diptych
