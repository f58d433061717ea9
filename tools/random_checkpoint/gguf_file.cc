#include "tools/random_checkpoint/gguf_file.h"

#include <sys/types.h>

#include <cstdint>
#include <span>

#include "common/error/error.h"
#include "common/files/unfinished_file.h"
#include "common/weights/ggml_type.h"
#include "common/weights/gguf.h"

namespace diptych::random_checkpoint {
namespace {

constexpr uint64_t kAlignment = 32;
constexpr mode_t kByUmask = 0666;

uint64_t Aligned(uint64_t position) { return (position + kAlignment - 1) / kAlignment * kAlignment; }

template <typename Number>
void Put(std::string& to, Number number) {
  to.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void PutText(std::string& to, const std::string& text) {
  Put(to, uint64_t{text.size()});
  to += text;
}

uint32_t NumberOf(Dtype dtype) {
  for (uint32_t number = 0; const GgmlType* const type = GgmlTypeOf(number); ++number) {
    if (type->dtype == dtype) return number;
  }
  throw Error(ErrorCode::kInternal, "ggml has no " + std::string(DtypeName(dtype)));
}

}  // namespace

void WriteGguf(const std::string& path, const std::string& architecture, const std::vector<TensorSpec>& tensors,
               const FillTensor& fill) {
  std::string header = "GGUF";
  Put(header, uint32_t{3});
  Put(header, uint64_t{tensors.size()});
  Put(header, uint64_t{1});
  PutText(header, "general.architecture");
  Put(header, static_cast<uint32_t>(GgufValueType::kString));
  PutText(header, architecture);
  uint64_t offset = 0;
  for (const TensorSpec& tensor : tensors) {
    PutText(header, tensor.name);
    Put(header, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i > 0; --i) Put(header, static_cast<uint64_t>(tensor.shape[i - 1]));
    Put(header, NumberOf(tensor.dtype));
    Put(header, offset);
    offset += Aligned(ByteCount(tensor));
  }
  header.resize(Aligned(header.size()));
  UnfinishedFile file(path, kByUmask);
  file.Write(header);
  std::vector<uint8_t> bytes;
  for (const TensorSpec& tensor : tensors) {
    const size_t size = ByteCount(tensor);
    bytes.assign(Aligned(size), 0);
    fill(tensor, std::span(bytes).first(size));
    file.Write(bytes.data(), bytes.size());
  }
  file.Rename(path);
}

}  // namespace diptych::random_checkpoint
