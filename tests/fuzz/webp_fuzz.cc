// Foreign bytes as a WebP: its texts, or an Error.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/error/error.h"
#include "common/image/picture_file.h"
#include "common/image/webp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::string& file :
       {std::string(bytes), std::string("RIFF\xff\xff\xff\x7fWEBP", 12) + std::string(bytes)}) {
    try {
      diptych::ReadWebpText(file);
      diptych::ReadPictureText(file);
    } catch (const diptych::Error&) {
    }
  }
  return 0;
}
