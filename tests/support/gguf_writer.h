// Writes GGUF files of any kind, number formats that are not read included: metadata, tensors, their data.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/weights/dtype.h"
#include "common/weights/ggml_type.h"
#include "common/weights/gguf.h"

namespace diptych::testing {

// The elements of a tensor in F32, BF16 or F16 as F32; of one that is F32 its bytes.
inline std::vector<uint8_t> AsFloat(const TensorEntry& entry) {
  if (entry.dtype == Dtype::F32) return {entry.data, entry.data + entry.byte_count};
  if (entry.dtype != Dtype::BF16 && entry.dtype != Dtype::F16) {
    throw std::runtime_error(entry.name + ": expected F32, BF16 or F16, found " + std::string(entry.dtype_name()));
  }
  std::vector<uint8_t> bytes(2 * entry.byte_count);
  for (size_t i = 0; i < entry.byte_count / 2; ++i) {
    uint16_t half = 0;
    std::memcpy(&half, entry.data + 2 * i, 2);
    uint32_t bits = static_cast<uint32_t>(half) << 16;
    if (entry.dtype == Dtype::F16) {
      _Float16 value;
      std::memcpy(&value, &half, 2);
      const auto wide = static_cast<float>(value);
      std::memcpy(&bits, &wide, 4);
    }
    std::memcpy(bytes.data() + 4 * i, &bits, 4);
  }
  return bytes;
}

// Entries and tensors stand in the order in which they were added; nothing is checked, so that a file may be odd.
class GgufWriter {
 public:
  void Text(const std::string& key, std::string_view text) {
    Begin(key, GgufValueType::kString);
    PutText(entries_, text);
  }
  void Bool(const std::string& key, bool value) {
    Begin(key, GgufValueType::kBool);
    Put(entries_, static_cast<uint8_t>(value));
  }
  template <typename Value>  // U8 to U64, I8 to I64, F32 or F64
  void Number(const std::string& key, Value value) {
    Begin(key, TypeOf<Value>());
    Put(entries_, value);
  }
  void Texts(const std::string& key, const std::vector<std::string>& texts) {
    BeginArray(key, GgufValueType::kString, texts.size());
    for (const std::string& text : texts) PutText(entries_, text);
  }
  template <typename Value>
  void Numbers(const std::string& key, const std::vector<Value>& values) {
    BeginArray(key, TypeOf<Value>(), values.size());
    for (const Value value : values) Put(entries_, value);
  }

  // `shape` row-major, [out, in]. The bytes are not owned.
  void AddTensor(const std::string& name, Dtype dtype, const std::vector<int64_t>& shape,
                 std::span<const uint8_t> bytes) {
    tensors_.push_back({name, dtype, shape, bytes});
  }
  void AddTensor(const std::string& name, const TensorEntry& entry) {
    AddTensor(name, entry.dtype, entry.shape, {entry.data, entry.byte_count});
  }
  void AddOwnTensor(const std::string& name, Dtype dtype, const std::vector<int64_t>& shape,
                    std::vector<uint8_t> bytes) {
    own_.push_back(std::move(bytes));
    AddTensor(name, dtype, shape, own_.back());
  }
  void AddTensorAsFloat(const std::string& name, const TensorEntry& entry) {
    AddOwnTensor(name, Dtype::F32, entry.shape, AsFloat(entry));
  }

  std::string Bytes() const {
    std::string file = "GGUF";
    Put(file, uint32_t{3});
    Put(file, uint64_t{tensors_.size()});
    Put(file, entry_count_);
    file += entries_;
    uint64_t offset = 0;
    for (const Tensor& tensor : tensors_) {
      PutText(file, tensor.name);
      Put(file, static_cast<uint32_t>(tensor.shape.size()));
      for (size_t i = tensor.shape.size(); i > 0; --i) Put(file, static_cast<uint64_t>(tensor.shape[i - 1]));
      Put(file, NumberOf(tensor.dtype));
      Put(file, offset);
      offset += Aligned(tensor.bytes.size());
    }
    for (const Tensor& tensor : tensors_) {
      file.resize(Aligned(file.size()));
      file.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    }
    file.resize(Aligned(file.size()));
    return file;
  }

  void Write(const std::string& path) const {
    const std::string bytes = Bytes();
    std::ofstream file(path, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
  }

 private:
  struct Tensor {
    std::string name;
    Dtype dtype;
    std::vector<int64_t> shape;
    std::span<const uint8_t> bytes;
  };

  template <typename Value>
  static constexpr GgufValueType TypeOf() {
    static_assert(std::is_arithmetic_v<Value> && !std::is_same_v<Value, bool>);
    if constexpr (std::is_floating_point_v<Value>) return sizeof(Value) == 4 ? GgufValueType::F32 : GgufValueType::F64;
    constexpr bool kSigned = std::is_signed_v<Value>;
    switch (sizeof(Value)) {
      case 1:
        return kSigned ? GgufValueType::I8 : GgufValueType::U8;
      case 2:
        return kSigned ? GgufValueType::I16 : GgufValueType::U16;
      case 4:
        return kSigned ? GgufValueType::I32 : GgufValueType::U32;
      default:
        return kSigned ? GgufValueType::I64 : GgufValueType::U64;
    }
  }
  static uint64_t Aligned(uint64_t position) { return (position + 31) / 32 * 32; }
  static uint32_t NumberOf(Dtype dtype) {
    for (uint32_t number = 0; const GgmlType* const type = GgmlTypeOf(number); ++number) {
      if (type->dtype == dtype && dtype != Dtype::kOther) return number;
    }
    throw std::runtime_error("ggml has no " + std::string(DtypeName(dtype)));
  }
  template <typename Value>
  static void Put(std::string& to, Value value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  static void PutText(std::string& to, std::string_view text) {
    Put(to, uint64_t{text.size()});
    to += text;
  }
  void Begin(const std::string& key, GgufValueType type) {
    ++entry_count_;
    PutText(entries_, key);
    Put(entries_, static_cast<uint32_t>(type));
  }
  void BeginArray(const std::string& key, GgufValueType element, uint64_t count) {
    Begin(key, GgufValueType::kArray);
    Put(entries_, static_cast<uint32_t>(element));
    Put(entries_, count);
  }

  uint64_t entry_count_ = 0;
  std::string entries_;
  std::vector<Tensor> tensors_;
  std::deque<std::vector<uint8_t>> own_;
};

}  // namespace diptych::testing
