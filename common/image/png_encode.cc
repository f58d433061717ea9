#include <png.h>
#include <zlib.h>

#include <csetjmp>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "common/error/error.h"
#include "common/image/png.h"

namespace diptych {
namespace {

// For a photograph of 1024x1024 px the average filter with run lengths takes 21 to 28 ms and gives the smallest file of
// all settings up to level 6, which takes ten times as long: what the filter leaves is noise, in which there is nothing
// to match.
constexpr int kCompressionLevel = 1;
constexpr int kStrategy = Z_RLE;
constexpr int kFilter = PNG_FILTER_AVG;

constexpr int32_t kRowsBetweenPauses = 64;

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

void CheckPicture(const Picture& picture) {
  const PngLimits limits;
  const auto side = static_cast<int64_t>(limits.max_side);
  if (picture.width < 1 || picture.height < 1 || picture.width > side || picture.height > side) {
    Refuse("a picture of " + std::to_string(picture.width) + "x" + std::to_string(picture.height) +
           " px cannot be a PNG; each side must be from 1 to " + std::to_string(side) + " px");
  }
  const size_t expected = 3 * static_cast<size_t>(picture.width) * static_cast<size_t>(picture.height);
  if (picture.rgb.size() != expected) {
    Refuse("a picture of " + std::to_string(picture.width) + "x" + std::to_string(picture.height) + " px must have " +
           std::to_string(expected) + " bytes, not " + std::to_string(picture.rgb.size()));
  }
}

void CheckText(const std::pair<std::string, std::string>& entry) {
  const auto& [keyword, text] = entry;
  bool legal = !keyword.empty() && keyword.size() <= 79 && keyword.front() != ' ' && keyword.back() != ' ';
  for (const char c : keyword) legal = legal && c >= ' ' && c <= '~';
  if (!legal) Refuse("a PNG keyword must be 1 to 79 printable ASCII characters without spaces at its ends");
  if (text.find('\0') != std::string::npos) Refuse("the PNG text \"" + keyword + "\" must not hold a NUL byte");
}

bool IsAscii(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

// tEXt, which every program reads, where ASCII will do; else iTXt, which is UTF-8.
std::vector<png_text> Chunks(const PngText& text) {
  std::vector<png_text> chunks;
  for (const auto& entry : text) {
    CheckText(entry);
    png_text chunk = {};
    chunk.compression = IsAscii(entry.second) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(entry.first.c_str());  // libpng only reads it
    chunk.text = const_cast<char*>(entry.second.c_str());
    chunks.push_back(chunk);
  }
  return chunks;
}

// libpng reports errors by longjmp. Everything that must outlive the jump is a member here, and WriteAll has no local
// that needs a destructor.
class Writer {
 public:
  Writer() : png_(png_create_write_struct(PNG_LIBPNG_VER_STRING, this, OnError, OnWarning)) {
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_write_struct(&png_, nullptr);
      throw std::bad_alloc();
    }
  }
  ~Writer() { png_destroy_write_struct(&png_, &info_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::string Write(const Picture& picture, const PngText& text, const Pause& pause) {
    const std::vector<png_text> chunks = Chunks(text);
    out_.reserve(picture.rgb.size() / 2);
    if (!WriteAll(picture, chunks, pause)) throw Error(ErrorCode::kInternal, std::string("libpng: ") + message_);
    return std::move(out_);
  }

 private:
  static Writer* Self(png_structp png) { return static_cast<Writer*>(png_get_error_ptr(png)); }
  static void OnError(png_structp png, png_const_charp message) {
    std::strncpy(Self(png)->message_, message, sizeof(message_) - 1);
    png_longjmp(png, 1);
  }
  static void OnWarning(png_structp, png_const_charp) {}
  static void OnBytes(png_structp png, png_bytep bytes, size_t size) {
    bool full = false;
    try {
      static_cast<Writer*>(png_get_io_ptr(png))->out_.append(reinterpret_cast<const char*>(bytes), size);
    } catch (const std::exception&) {  // no memory, or longer than a string can be
      full = true;
    }
    if (full) png_error(png, "out of memory");  // not in the handler: a jump out of it never ends the exception
  }
  static void OnFlush(png_structp) {}

  // What `pause` throws passes through no function of libpng.
  bool WriteAll(const Picture& picture, const std::vector<png_text>& chunks, const Pause& pause) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_write_fn(png_, this, OnBytes, OnFlush);
    png_set_compression_level(png_, kCompressionLevel);
    png_set_compression_strategy(png_, kStrategy);
    png_set_filter(png_, PNG_FILTER_TYPE_BASE, kFilter);
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(picture.width), static_cast<png_uint_32>(picture.height), 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!chunks.empty()) png_set_text(png_, info_, chunks.data(), static_cast<int>(chunks.size()));
    png_write_info(png_, info_);
    for (int32_t y = 0; y < picture.height; ++y) {
      if (pause && y % kRowsBetweenPauses == 0) pause();
      png_write_row(png_, picture.rgb.data() + 3 * static_cast<size_t>(picture.width) * static_cast<size_t>(y));
    }
    png_write_end(png_, nullptr);
    return true;
  }

  png_structp png_;
  png_infop info_ = nullptr;
  std::string out_;
  char message_[200] = {};
};

}  // namespace

std::string EncodePng(const Picture& picture, const PngText& text, const Pause& pause) {
  CheckPicture(picture);
  return Writer().Write(picture, text, pause);
}

}  // namespace diptych
