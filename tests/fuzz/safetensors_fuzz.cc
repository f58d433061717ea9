// Any bytes are either refused with an Error or a file whose tensors lie inside those bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "common/error/error.h"
#include "common/weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = diptych::SafetensorsFile::Parse({data, size}, "fuzz");
    size_t total = 0;
    for (const auto& [name, entry] : file->tensors()) {
      if (entry.data < data || entry.byte_count > size || entry.data + entry.byte_count > data + size) std::abort();
      const bool is_known = entry.dtype != diptych::Dtype::kOther;  // of another dtype only the file knows the size
      if (is_known && diptych::ByteCount(entry.shape, entry.dtype) != entry.byte_count) std::abort();
      total += entry.byte_count;
    }
    if (total > size) std::abort();  // tensors may not share bytes
  } catch (const diptych::Error&) {
  }
  return 0;
}
