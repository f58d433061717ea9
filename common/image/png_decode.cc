#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <new>
#include <utility>

#include "common/error/error.h"
#include "common/image/exif.h"
#include "common/image/png.h"
#include "common/image/png_chunks.h"
#include "common/image/png_text.h"

namespace diptych {
namespace {

constexpr uint64_t kMostDeflateShrinks = 1032;  // bytes out for a byte in; zlib's documentation

// libpng reports errors by longjmp. Everything that must outlive the jump is a member here, and the functions that call
// libpng have no local that needs a destructor.
class Reader {
 public:
  Reader(std::string_view bytes, const PngLimits& limits)
      : bytes_(bytes), limits_(limits), png_(png_create_read_struct(PNG_LIBPNG_VER_STRING, this, OnError, OnWarning)) {
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void ReadHead() {
    CheckChunks();
    Require(TryReadHead());
  }

  Picture ReadPixels() {
    CheckSize();
    Require(TryPrepare());
    const size_t row_bytes = png_get_rowbytes(png_, info_);
    if (row_bytes != 3 * size_t{png_get_image_width(png_, info_)}) {
      throw Error(ErrorCode::kInternal, "libpng did not turn the picture into RGB");
    }
    Picture picture;
    picture.width = static_cast<int32_t>(png_get_image_width(png_, info_));
    picture.height = static_cast<int32_t>(png_get_image_height(png_, info_));
    picture.rgb.resize(row_bytes * static_cast<size_t>(picture.height));
    rows_.reserve(static_cast<size_t>(picture.height));
    for (int32_t y = 0; y < picture.height; ++y)
      rows_.push_back(picture.rgb.data() + row_bytes * static_cast<size_t>(y));
    Require(TryReadPixels());
    return picture;
  }

 private:
  static Reader* Self(png_structp png) { return static_cast<Reader*>(png_get_error_ptr(png)); }
  static void OnError(png_structp png, png_const_charp message) {
    std::strncpy(Self(png)->message_, message, sizeof(message_) - 1);
    png_longjmp(png, 1);
  }
  static void OnWarning(png_structp, png_const_charp) {}
  static void OnRead(png_structp png, png_bytep out, size_t size) {
    auto* self = static_cast<Reader*>(png_get_io_ptr(png));
    if (size > self->bytes_.size() - self->position_) png_error(png, "the file ends too early");
    std::memcpy(out, self->bytes_.data() + self->position_, size);
    self->position_ += size;
  }

  void Require(bool whole) const {
    if (!whole) throw Error(ErrorCode::kDataLoss, std::string("the PNG is damaged: ") + message_);
  }

  // libpng allocates what a chunk says it holds, up to 2 GiB, before it reads it; here the chunk must be there and be
  // short. IDAT is left out: its data is read in pieces.
  void CheckChunks() const {
    std::string_view cut;
    const bool whole = ForEachPngChunk(
        bytes_,
        [&](const PngChunk& chunk) {
          if (chunk.name == "IDAT" || chunk.data.size() <= limits_.max_text_bytes) return;
          throw Error(ErrorCode::kInvalidArgument, "the PNG has a chunk of " + std::to_string(chunk.data.size()) +
                                                       " bytes; at most " + std::to_string(limits_.max_text_bytes) +
                                                       " bytes are read");
        },
        &cut);
    if (!whole && cut != "IDAT" && !cut.empty()) {
      throw Error(ErrorCode::kDataLoss, "the PNG is damaged: a chunk is longer than the rest of the file");
    }
  }

  bool TryReadHead() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, this, OnRead);
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // CheckSize says it better
    // Texts are read by PngTextReader, and what else stands beside the pixels (profiles, palettes that are suggested,
    // ...) by nobody: libpng would unpack each of them whole.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_chunk_malloc_max(png_, limits_.max_text_bytes);
    png_read_info(png_, info_);
    return true;
  }

  void CheckSize() const {
    const uint64_t width = png_get_image_width(png_, info_);
    const uint64_t height = png_get_image_height(png_, info_);
    if (width > limits_.max_side || height > limits_.max_side || width * height > limits_.max_pixels) {
      throw Error(ErrorCode::kInvalidArgument, "the PNG has " + std::to_string(width) + "x" + std::to_string(height) +
                                                   " px; at most " + std::to_string(limits_.max_side) +
                                                   " px a side and " + std::to_string(limits_.max_pixels) +
                                                   " px in all are read");
    }
    // Checked before the pixels are allocated: a short file cannot hold a large picture.
    if (png_get_rowbytes(png_, info_) * height / kMostDeflateShrinks > bytes_.size()) {
      throw Error(ErrorCode::kDataLoss, "the PNG is damaged: " + std::to_string(bytes_.size()) + " bytes cannot hold " +
                                            std::to_string(width) + "x" + std::to_string(height) + " px");
    }
  }

  // Any format to 8-bit RGB.
  bool TryPrepare() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_expand(png_);  // palette to RGB, 1 to 4 bits to 8, transparent colour to alpha
    png_set_scale_16(png_);
    png_set_gray_to_rgb(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool TryReadPixels() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows_.data());
    png_read_end(png_, info_);
    return true;
  }

  const std::string_view bytes_;
  const PngLimits limits_;
  png_structp png_;
  png_infop info_ = nullptr;
  size_t position_ = 0;
  std::vector<png_bytep> rows_;
  char message_[200] = {};
};

}  // namespace

PngFile DecodePng(std::string_view bytes, const PngLimits& limits) {
  Reader reader(bytes, limits);
  reader.ReadHead();
  PngFile file;
  file.picture = reader.ReadPixels();
  PngTextReader texts(limits);
  ForEachPngChunk(bytes, [&](const PngChunk& chunk) { texts.Take(chunk); });
  file.text = std::move(texts.text());
  return file;
}

PngText ReadPngText(std::string_view bytes, const PngLimits& limits) {
  PngTextReader texts(limits);
  std::string_view exif;
  bool has_text = false;
  const bool whole = ForEachPngChunk(bytes, [&](const PngChunk& chunk) {
    texts.Take(chunk);
    if (chunk.name == "eXIf" && chunk.data.size() <= limits.max_text_bytes) exif = chunk.data;
    has_text = has_text || IsPngText(chunk.name) || chunk.name == "eXIf";
  });
  if (!whole && !has_text) throw Error(ErrorCode::kDataLoss, "the PNG is damaged: the file ends too early");
  PngText text = std::move(texts.text());
  for (auto& entry : ReadExifText(exif)) text.push_back(std::move(entry));
  return text;
}

}  // namespace diptych
