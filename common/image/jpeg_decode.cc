#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <new>
#include <string>
#include <utility>
#include <vector>

// libjpeg's header needs size_t and FILE from above.
#include <jerror.h>
#include <jpeglib.h>

#include "common/error/error.h"
#include "common/image/decode_formats.h"
#include "common/image/exif.h"
#include "common/image/jpeg_segments.h"

namespace diptych {
namespace {

constexpr int kMostScans = 100;             // encoders write about 10
constexpr int64_t kMostPixelsAByte = 1024;  // a bit for each block of a colour, and colours that have a block for 32x32

constexpr std::string_view kKindsRead = "8 bits a channel in Huffman codes, sequential or progressive, are read";

// libjpeg reports errors by longjmp. Everything that must outlive the jump is a member here, and the functions that
// call libjpeg have no local that needs a destructor. A warning is an error: libjpeg warns of damage and goes on with
// grey.
class Reader {
 public:
  explicit Reader(std::string_view bytes) {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = OnError;
    errors_.emit_message = OnWarning;
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source_.bytes_in_buffer = bytes.size();
    source_.init_source = [](j_decompress_ptr) {};
    source_.fill_input_buffer = [](j_decompress_ptr jpeg) {
      ERREXIT(jpeg, JERR_INPUT_EOF);
      return static_cast<boolean>(FALSE);
    };
    source_.skip_input_data = [](j_decompress_ptr jpeg, long count) {
      if (count <= 0) return;
      if (static_cast<size_t>(count) > jpeg->src->bytes_in_buffer) ERREXIT(jpeg, JERR_INPUT_EOF);
      jpeg->src->next_input_byte += count;
      jpeg->src->bytes_in_buffer -= static_cast<size_t>(count);
    };
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = [](j_decompress_ptr) {};
  }
  ~Reader() { jpeg_destroy_decompress(&jpeg_); }  // harmless before it was created
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  PictureHead ReadHead() {
    Require(TryReadHead());
    if (jpeg_.num_components != 1 && jpeg_.num_components != 3 && jpeg_.num_components != 4) {
      throw Error(ErrorCode::kInvalidArgument, "the JPEG has " + std::to_string(jpeg_.num_components) +
                                                   " channels; grey, three colours, CMYK and YCCK are read");
    }
    // Which hardly any program writes or shows, and of which a few bytes can keep the decoder busy for minutes.
    if (jpeg_.arith_code != FALSE) {
      throw Error(ErrorCode::kInvalidArgument,
                  "the JPEG is of a kind that is not read (arithmetic coding); " + std::string(kKindsRead));
    }
    return {.width = jpeg_.image_width, .height = jpeg_.image_height};
  }

  Picture ReadPixels(size_t file_bytes, const DecodeLimits& limits, const Pause& pause) {
    const int64_t pixels = int64_t{jpeg_.image_width} * jpeg_.image_height;
    if (pixels / kMostPixelsAByte > static_cast<int64_t>(file_bytes)) {
      Damaged(std::to_string(file_bytes) + " bytes cannot hold " + std::to_string(jpeg_.image_width) + "x" +
              std::to_string(jpeg_.image_height) + " px");
    }
    Require(TryStart(limits));
    if (jpeg_.buffered_image != FALSE) ReadScans(pause);
    Picture picture;
    picture.width = static_cast<int32_t>(jpeg_.output_width);
    picture.height = static_cast<int32_t>(jpeg_.output_height);
    const auto width = static_cast<size_t>(picture.width);
    picture.rgb.resize(3 * width * static_cast<size_t>(picture.height));
    const auto channels = static_cast<size_t>(jpeg_.output_components);
    row_.resize(channels * width);
    for (uint8_t* rgb = picture.rgb.data(); jpeg_.output_scanline < jpeg_.output_height; rgb += 3 * width) {
      if (pause && jpeg_.output_scanline % kRowsBetweenLooks == 0) pause();
      Require(TryReadRow());
      if (channels == 3) std::copy(row_.begin(), row_.end(), rgb);
      if (channels == 1) GreyToRgb(rgb);
      if (channels == 4) CmykToRgb(rgb);
    }
    Require(TryFinish());
    return picture;
  }

 private:
  [[noreturn]] static void Damaged(const std::string& reason) {
    throw Error(ErrorCode::kDataLoss, "the JPEG is damaged: " + reason);
  }

  static void OnError(j_common_ptr jpeg) {
    auto* self = static_cast<Reader*>(jpeg->client_data);
    jpeg->err->format_message(jpeg, self->message_);
    self->code_ = jpeg->err->msg_code;
    std::longjmp(self->jump_, 1);
  }
  static void OnWarning(j_common_ptr jpeg, int level) {
    if (level >= 0) return;  // a trace
    const auto* self = static_cast<const Reader*>(jpeg->client_data);
    const int code = jpeg->err->msg_code;
    if (code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM || code == JWRN_NOT_SEQUENTIAL) return;  // odd heads
    if (code == JWRN_EXTRANEOUS_DATA && !self->has_head_) return;  // between two segments, where it harms nobody
    OnError(jpeg);
  }

  void Require(bool whole) const {
    if (whole) return;
    switch (code_) {
      case JERR_OUT_OF_MEMORY:
        throw std::bad_alloc();
      case JERR_INPUT_EOF:
        Damaged("the file ends too early");
      case JERR_BAD_PRECISION:
      case JERR_SOF_UNSUPPORTED:
      case JERR_ARITH_NOTIMPL:
      case JERR_IMAGE_TOO_BIG:
      case JERR_CONVERSION_NOTIMPL:
      case JERR_NOTIMPL:
        throw Error(ErrorCode::kInvalidArgument, std::string("the JPEG is of a kind that is not read (") + message_ +
                                                     "); " + std::string(kKindsRead));
      case JERR_NO_BACKING_STORE:
        throw Error(ErrorCode::kInvalidArgument, "the JPEG takes too much memory to decode");
      default:
        Damaged(message_);
    }
  }

  bool TryReadHead() {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.src = &source_;
    jpeg_read_header(&jpeg_, TRUE);
    has_head_ = true;
    return true;
  }

  bool TryStart(const DecodeLimits& limits) {
    if (setjmp(jump_) != 0) return false;
    // The coefficients of a picture in several scans: 2 bytes each, at most 4 colours, filled up to whole blocks.
    jpeg_.mem->max_memory_to_use = static_cast<long>(8 * limits.max_pixels) + (64 << 20);
    jpeg_.buffered_image = jpeg_has_multiple_scans(&jpeg_);
    // For one and three the names libjpeg suggests; YCCK becomes CMYK.
    jpeg_.out_color_space = jpeg_.num_components == 1 ? JCS_GRAYSCALE : jpeg_.num_components == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_start_decompress(&jpeg_);
    return true;
  }

  // Takes in all scans before the first row comes out. A file in which each costs time and few bytes ends here, and so
  // does one that lost the scans of a colour.
  void ReadScans(const Pause& pause) {
    int rows = 0, status = JPEG_REACHED_SOS;
    unsigned colours = 0;
    while (status != JPEG_REACHED_EOI) {
      if (status == JPEG_REACHED_SOS) {
        for (int i = 0; i < jpeg_.comps_in_scan; ++i) {
          if (jpeg_.Ss == 0) colours |= 1U << jpeg_.cur_comp_info[i]->component_index;
        }
        if (jpeg_.input_scan_number > kMostScans) {
          throw Error(ErrorCode::kInvalidArgument,
                      "the JPEG has more than " + std::to_string(kMostScans) + " scans, more than are read");
        }
      }
      if (pause && rows++ % kRowsBetweenLooks == 0) pause();
      Require(TryConsume(&status));
    }
    if (colours != (1U << jpeg_.num_components) - 1) Damaged("a part of its colours is missing");
    Require(TryStartOutput());
  }

  bool TryConsume(int* status) {
    if (setjmp(jump_) != 0) return false;
    *status = jpeg_consume_input(&jpeg_);
    return true;
  }

  bool TryStartOutput() {
    if (setjmp(jump_) != 0) return false;
    jpeg_start_output(&jpeg_, jpeg_.input_scan_number);
    return true;
  }

  bool TryReadRow() {
    if (setjmp(jump_) != 0) return false;
    JSAMPROW row = row_.data();
    jpeg_read_scanlines(&jpeg_, &row, 1);
    return true;
  }

  bool TryFinish() {
    if (setjmp(jump_) != 0) return false;
    if (jpeg_.buffered_image != FALSE) jpeg_finish_output(&jpeg_);
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

  void GreyToRgb(uint8_t* rgb) const {
    for (const uint8_t grey : row_) {
      *rgb++ = grey;
      *rgb++ = grey;
      *rgb++ = grey;
    }
  }

  // As Pillow, for whom every CMYK is Adobe's: 255 is no ink.
  void CmykToRgb(uint8_t* rgb) const {
    for (size_t i = 0; i < row_.size(); i += 4) {
      const int light = row_[i + 3];
      for (size_t c = 0; c < 3; ++c) {
        const int ink = (255 - row_[i + c]) * light + 128;
        *rgb++ = static_cast<uint8_t>(std::max(0, light - (((ink >> 8) + ink) >> 8)));
      }
    }
  }

  jpeg_decompress_struct jpeg_ = {};
  jpeg_error_mgr errors_ = {};
  std::jmp_buf jump_;
  jpeg_source_mgr source_ = {};
  bool has_head_ = false;
  std::vector<JSAMPLE> row_;
  int code_ = 0;
  char message_[JMSG_LENGTH_MAX] = {};
};

int Orientation(std::string_view bytes) {
  bytes.remove_prefix(std::min(bytes.size(), kJpegStart.size()));
  for (JpegSegment segment = TakeJpegSegment(bytes); !segment.whole.empty(); segment = TakeJpegSegment(bytes)) {
    if (segment.marker == JpegSegment::kApp1 && segment.data.substr(0, kExifName.size()) == kExifName) {
      return ReadExifOrientation(segment.data);
    }
  }
  return 1;
}

}  // namespace

PictureHead ReadJpegHead(std::string_view bytes) {
  PictureHead head = Reader(bytes).ReadHead();
  head.orientation = Orientation(bytes);
  return head;
}

DecodedPicture DecodeJpegPixels(std::string_view bytes, const DecodeLimits& limits, const Pause& pause) {
  Reader reader(bytes);
  reader.ReadHead();
  return {reader.ReadPixels(bytes.size(), limits, pause), std::nullopt};
}

}  // namespace diptych
