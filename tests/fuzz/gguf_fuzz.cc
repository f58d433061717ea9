// Any bytes are either refused with an Error or a file whose tensors and metadata lie inside those bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

#include "common/error/error.h"
#include "common/weights/dequantize.h"
#include "common/weights/gguf.h"

namespace {

using diptych::GgufValue;
using diptych::GgufValueType;

volatile double sink;  // so that what is read is read

void Use(std::string_view text) {
  for (const char c : text) sink = c;
}

template <typename Numbers>
void Use(const Numbers& numbers) {
  for (size_t i = 0; i < numbers.size(); ++i) sink = static_cast<double>(numbers[i]);
}

// Through the getter of another type as well: it refuses, or the value can be had as that.
template <typename Get>
void Try(Get&& get) {
  try {
    get();
  } catch (const diptych::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = diptych::GgufFile::Parse({data, size}, "fuzz");
    for (const auto& [name, tensor] : file->tensors()) {
      if (tensor.byte_count > size || tensor.data < data || tensor.data > data + size - tensor.byte_count) std::abort();
      if (tensor.dtype == diptych::Dtype::kOther) continue;
      const diptych::DtypeFacts& facts = diptych::FactsOf(tensor.dtype);
      const std::optional<uint64_t> elements = diptych::ByteCount(tensor.shape, 1, 1);
      const auto block = static_cast<uint64_t>(facts.block_elements), bytes = static_cast<uint64_t>(facts.block_bytes);
      if (!elements || *elements % block != 0 || *elements / block * bytes != tensor.byte_count) std::abort();
      const auto blocks = static_cast<int64_t>(tensor.byte_count) / facts.block_bytes;
      std::vector<float> values(static_cast<size_t>(std::min<int64_t>(blocks, 4) * facts.block_elements));
      diptych::Dequantize(tensor.dtype, tensor.data, static_cast<int64_t>(values.size()), values.data());
    }
    for (const auto& [key, value] : file->metadata()) {
      Try([&, &key = key] { Use(*file->Text(key)); });
      Try([&, &key = key] { sink = *file->Bool(key) ? 1 : 0; });
      Try([&, &key = key] { sink = static_cast<double>(*file->Integer(key)); });
      Try([&, &key = key] { sink = *file->Number(key); });
      Try([&, &key = key] {
        for (const std::string_view text : *file->Texts(key)) Use(text);
      });
      Try([&, &key = key] { Use(*file->Integers(key)); });
      Try([&, &key = key] { Use(*file->Numbers(key)); });
    }
  } catch (const diptych::Error&) {
  }
  return 0;
}
