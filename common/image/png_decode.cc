#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <new>
#include <utility>

#include "common/error/error.h"
#include "common/image/decode_formats.h"
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
    return {Width(), Height(), ReadRows(3, {})};
  }

  // As DecodePicture wants it: with alpha, without the lower halves of 16 bits, and what libpng only warns of is
  // damage.
  DecodedPicture ReadPixelsAndAlpha(const Pause& pause) {
    CheckSize();
    Require(TryPrepareWithAlpha());
    DecodedPicture decoded;
    if (png_get_channels(png_, info_) == 4) {
      decoded = SplitAlpha(Width(), Height(), ReadRows(4, pause));
    } else {
      decoded.picture = {Width(), Height(), ReadRows(3, pause)};
    }
    Require(!was_warned_);
    return decoded;
  }

 private:
  static Reader* Self(png_structp png) { return static_cast<Reader*>(png_get_error_ptr(png)); }
  static void OnError(png_structp png, png_const_charp message) {
    std::strncpy(Self(png)->message_, message, sizeof(message_) - 1);
    png_longjmp(png, 1);
  }
  static void OnWarning(png_structp png, png_const_charp message) {
    // All pixels are there, and something behind them.
    for (const std::string_view harmless : {"Extra compressed data", "Too much image data"}) {
      if (std::string_view(message).find(harmless) != std::string_view::npos) return;
    }
    auto* self = Self(png);
    if (!self->was_warned_) std::strncpy(self->message_, message, sizeof(message_) - 1);
    self->was_warned_ = true;
  }
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
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  // Palettes and grey to RGB with 8 bits, transparent colours to alpha.
  bool TryPrepareWithAlpha() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_expand(png_);
    png_set_strip_16(png_);
    png_set_gray_to_rgb(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  int32_t Width() const { return static_cast<int32_t>(png_get_image_width(png_, info_)); }
  int32_t Height() const { return static_cast<int32_t>(png_get_image_height(png_, info_)); }

  std::vector<uint8_t> ReadRows(size_t channels, const Pause& pause) {
    row_bytes_ = png_get_rowbytes(png_, info_);
    if (row_bytes_ != channels * static_cast<size_t>(Width())) {
      throw Error(ErrorCode::kInternal, "libpng did not turn the picture into RGB");
    }
    std::vector<uint8_t> pixels(row_bytes_ * static_cast<size_t>(Height()));
    for (int pass = 0; pass < passes_; ++pass) {
      for (int32_t y = 0; y < Height(); y += kRowsBetweenLooks) {
        if (pause) pause();
        Require(TryReadRows(pixels.data() + row_bytes_ * static_cast<size_t>(y),
                            std::min(kRowsBetweenLooks, Height() - y)));
      }
    }
    Require(TryReadEnd());
    return pixels;
  }

  bool TryReadRows(uint8_t* rows, int32_t count) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    for (int32_t i = 0; i < count; ++i) png_read_row(png_, rows + row_bytes_ * static_cast<size_t>(i), nullptr);
    return true;
  }

  bool TryReadEnd() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_end(png_, info_);
    return true;
  }

  const std::string_view bytes_;
  const PngLimits limits_;
  png_structp png_;
  png_infop info_ = nullptr;
  size_t position_ = 0;
  size_t row_bytes_ = 0;
  int passes_ = 1;
  bool was_warned_ = false;
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

PictureHead ReadPngHead(std::string_view bytes) {
  const auto number = [](std::string_view data) {
    int64_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(data[i]);
    return value;
  };
  PictureHead head;
  bool has_head = false, has_exif = false;
  ForEachPngChunk(bytes, [&](const PngChunk& chunk) {
    if (chunk.name == "IHDR" && chunk.data.size() == 13 && !has_head) {
      head.width = number(chunk.data);
      head.height = number(chunk.data.substr(4));
      head.has_alpha = (chunk.data[9] & PNG_COLOR_MASK_ALPHA) != 0;
      has_head = true;
    } else if (!has_head) {
      throw Error(ErrorCode::kDataLoss, "the PNG is damaged: it does not begin with its size");
    } else if (chunk.name == "tRNS") {
      head.has_alpha = true;
    } else if (chunk.name == "eXIf" && !has_exif) {
      head.orientation = ReadExifOrientation(chunk.data);
      has_exif = true;
    } else if (chunk.name == "acTL" && chunk.data.size() >= 4 && number(chunk.data) > 1) {
      throw Error(ErrorCode::kInvalidArgument, "this is an animated PNG; a single picture is read");
    }
  });
  if (!has_head) throw Error(ErrorCode::kDataLoss, "the PNG is damaged: the file ends too early");
  return head;
}

DecodedPicture DecodePngPixels(std::string_view bytes, const DecodeLimits& limits, const Pause& pause) {
  Reader reader(bytes, {.max_side = static_cast<uint32_t>(limits.max_side),
                        .max_pixels = static_cast<uint64_t>(limits.max_pixels)});
  reader.ReadHead();
  return reader.ReadPixelsAndAlpha(pause);
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
