// The GGUF container, little-endian: "GGUF", u32 version, u64 number of tensors, u64 number of metadata entries; the
// entries (key, type, value); the tensors (name, dimensions with the fastest first, type, offset); then, from a
// multiple of `general.alignment` on, the data. A string is its u64 length and its bytes. Reading is checked
// throughout: whatever the bytes, the result is a whole file or an Error, in time that is linear in the bytes before
// the data.
//
// Memory: what is as long as the file says stays in the file. Beside it at most 200 MB are taken whatever the file
// says, for a tokenizer of 150 000 tokens and as many merges 5 MB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/weights/weights_file.h"

namespace diptych {

// By their numbers in a file.
enum class GgufValueType : uint32_t { U8, I8, U16, I16, U32, I32, F32, kBool, kString, kArray, U64, I64, F64 };

// One value of the metadata. Points into the file.
struct GgufValue {
  GgufValueType type;
  GgufValueType element_type;           // of an array; else as `type`
  uint64_t count;                       // of an array; else 1
  std::span<const uint8_t> bytes;       // numbers, booleans and the text of one string, as they lie in the file
  std::vector<std::string_view> texts;  // of an array of strings

  std::string TypeText() const;  // "u32", "array of string"
};

// The numbers of an array, read where they lie. Number: int64_t or double.
template <typename Number>
class GgufNumbers {
 public:
  explicit GgufNumbers(const GgufValue& value)
      : type_(value.element_type), count_(value.count), bytes_(value.bytes.data()) {}
  size_t size() const { return count_; }
  Number operator[](size_t i) const;  // i < size()

 private:
  GgufValueType type_;
  size_t count_;
  const uint8_t* bytes_;
};

// Throws Error(kDataLoss) when no GGUF file begins like this, kInvalidArgument when it does but for another kind of
// machine or in a version that is not read. Of fewer than kGgufBeginBytes nothing is said.
inline constexpr size_t kGgufBeginBytes = 8;
void CheckGgufBegin(std::span<const uint8_t> begin, const std::string& name);
bool BeginsAsGguf(std::span<const uint8_t> bytes);

// Metadata points into the file, too. A tensor has the shape of `comfy.gguf.orig_shape.NAME` where that is stated: its
// rows are then not always whole blocks, its bytes are those of the same elements in the same order.
class GgufFile final : public WeightsFile {
 public:
  // Throws Error: kNotFound or kInvalidArgument from MappedFile, kDataLoss for a damaged file, kInvalidArgument for a
  // sound one of a version, a byte order or a type of tensor that is not read. Every message begins with the path.
  static std::shared_ptr<const GgufFile> Open(const std::string& path);
  static std::shared_ptr<const GgufFile> Open(std::shared_ptr<const MappedFile> mapping, const std::string& path);

  // The same for bytes that the caller keeps alive; `name` stands for the path.
  static std::shared_ptr<const GgufFile> Parse(std::span<const uint8_t> bytes, const std::string& name);

  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }

  // Values by key; nullopt, or nullptr, without that key. Throw Error(kInvalidArgument) naming file, key, expected and
  // found for a value of another type. What is text need not be UTF-8.
  std::optional<std::string_view> Text(std::string_view key) const;
  std::optional<bool> Bool(std::string_view key) const;
  std::optional<int64_t> Integer(std::string_view key) const;  // of any width; beyond int64_t it is of another type
  std::optional<double> Number(std::string_view key) const;    // whole or not
  const std::vector<std::string_view>* Texts(std::string_view key) const;
  std::optional<GgufNumbers<int64_t>> Integers(std::string_view key) const;
  std::optional<GgufNumbers<double>> Numbers(std::string_view key) const;

 private:
  GgufFile() = default;
  void Read(std::span<const uint8_t> bytes);
  void RestoreShapes();
  uint64_t Alignment() const;
  const GgufValue* FindValue(std::string_view key) const;
  [[noreturn]] void WrongType(std::string_view key, const std::string& expected, const std::string& found) const;

  std::map<std::string, GgufValue, std::less<>> metadata_;
};

}  // namespace diptych
