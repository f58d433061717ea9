#include "common/image/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

// libjpeg's header needs size_t and FILE from above.
#include <jerror.h>
#include <jpeglib.h>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr int32_t kMaxSide = 65500;  // libjpeg's own limit

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

void Check(const Picture& picture, int quality) {
  const std::string size = std::to_string(picture.width) + "x" + std::to_string(picture.height) + " px";
  if (picture.width < 1 || picture.height < 1 || picture.width > kMaxSide || picture.height > kMaxSide) {
    Refuse("a picture of " + size + " cannot be a JPEG; each side must be from 1 to " + std::to_string(kMaxSide) +
           " px");
  }
  const size_t expected = 3 * static_cast<size_t>(picture.width) * static_cast<size_t>(picture.height);
  if (picture.rgb.size() != expected) {
    Refuse("a picture of " + size + " must have " + std::to_string(expected) + " bytes, not " +
           std::to_string(picture.rgb.size()));
  }
  if (quality < 1 || quality > 100) Refuse("JPEG quality " + std::to_string(quality) + " is not from 1 to 100");
}

// libjpeg reports errors by longjmp. Everything that must outlive the jump is a member here, and WriteAll has no local
// that needs a destructor.
class Writer {
 public:
  Writer() {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = OnError;
    errors_.emit_message = [](j_common_ptr, int) {};  // warnings
    // Not jpeg_mem_dest: after an error nobody can say whose its buffer is.
    destination_.init_destination = [](j_compress_ptr jpeg) { Self(jpeg)->EmptyBuffer(); };
    destination_.empty_output_buffer = [](j_compress_ptr jpeg) {
      Self(jpeg)->Keep(sizeof(buffer_));  // all of it, whatever free_in_buffer says
      return static_cast<boolean>(TRUE);
    };
    destination_.term_destination = [](j_compress_ptr jpeg) {
      Self(jpeg)->Keep(sizeof(buffer_) - Self(jpeg)->destination_.free_in_buffer);
    };
  }
  ~Writer() { jpeg_destroy_compress(&jpeg_); }  // harmless before it was created
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::vector<uint8_t> Write(const Picture& picture, int quality) {
    if (!WriteAll(picture, quality)) throw Error(ErrorCode::kInternal, std::string("libjpeg: ") + message_);
    return std::move(out_);
  }

 private:
  static Writer* Self(j_compress_ptr jpeg) { return static_cast<Writer*>(jpeg->client_data); }
  static void OnError(j_common_ptr jpeg) {
    auto* self = static_cast<Writer*>(jpeg->client_data);
    jpeg->err->format_message(jpeg, self->message_);
    std::longjmp(self->jump_, 1);
  }

  void EmptyBuffer() {
    destination_.next_output_byte = buffer_;
    destination_.free_in_buffer = sizeof(buffer_);
  }
  void Keep(size_t bytes) {
    bool full = false;
    try {
      out_.insert(out_.end(), buffer_, buffer_ + bytes);
    } catch (const std::exception&) {  // no memory
      full = true;
    }
    if (full) ERREXIT1(&jpeg_, JERR_OUT_OF_MEMORY, 0);  // not in the handler: a jump out of it never ends the exception
    EmptyBuffer();
  }

  bool WriteAll(const Picture& picture, int quality) {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_compress(&jpeg_);
    jpeg_.dest = &destination_;
    jpeg_.image_width = static_cast<JDIMENSION>(picture.width);
    jpeg_.image_height = static_cast<JDIMENSION>(picture.height);
    jpeg_.input_components = 3;
    jpeg_.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg_);
    jpeg_set_quality(&jpeg_, quality, TRUE);
    jpeg_.optimize_coding = TRUE;
    // A preview has a pixel for 8 x 8 of the picture: none of its colours can be spared.
    jpeg_.comp_info[0].h_samp_factor = jpeg_.comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(&jpeg_, TRUE);
    while (jpeg_.next_scanline < jpeg_.image_height) {
      auto* row = const_cast<JSAMPLE*>(picture.rgb.data() + 3 * static_cast<size_t>(picture.width) *
                                                                static_cast<size_t>(jpeg_.next_scanline));
      jpeg_write_scanlines(&jpeg_, &row, 1);  // only reads it
    }
    jpeg_finish_compress(&jpeg_);
    return true;
  }

  jpeg_compress_struct jpeg_ = {};
  jpeg_error_mgr errors_ = {};
  std::jmp_buf jump_;
  jpeg_destination_mgr destination_ = {};
  JOCTET buffer_[4096];
  std::vector<uint8_t> out_;
  char message_[JMSG_LENGTH_MAX] = {};
};

}  // namespace

std::vector<uint8_t> EncodeJpeg(const Picture& picture, int quality) {
  Check(picture, quality);
  return Writer().Write(picture, quality);
}

}  // namespace diptych
