// The safetensors container: u64 little-endian header length, JSON header {name: {dtype, shape, data_offsets: [begin,
// end)}}, data. Reading is checked throughout: whatever the bytes, the result is a whole file or an Error.
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

#include "common/error/error.h"
#include "common/weights/mapped_file.h"

namespace diptych {

// kOther: one that is not in this list; a file that has a tensor of it is read all the same, the tensor is not.
enum class Dtype { F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64, I32, I16, I8, U64, U32, U16, U8, BOOL, kOther };

size_t ByteSize(Dtype dtype);             // of one element; kOther: 0
std::string_view DtypeName(Dtype dtype);  // as the format spells it, "BF16"

struct TensorEntry {
  std::string name;
  Dtype dtype;
  std::vector<int64_t> shape;  // row-major; empty: a scalar
  const uint8_t* data;         // inside the mapping; aligned to nothing in particular
  size_t byte_count;           // ByteCount(shape, dtype); kOther: as the file says
  std::string other_dtype;     // of kOther: as the file spells it

  std::string_view dtype_name() const { return dtype == Dtype::kOther ? other_dtype : DtypeName(dtype); }
};

// Throws Error(kDataLoss) when no safetensors file begins like this. Of fewer than kSafetensorsBeginBytes nothing is
// said.
inline constexpr size_t kSafetensorsBeginBytes = 9;
void CheckSafetensorsBegin(std::span<const uint8_t> begin, const std::string& name);

// Throws anew what reading the file `path` threw, with what helps: what kind of file it is instead (unless it begins as
// one of its kind), and whether its download or copy was cut short. Of every container of weights.
[[noreturn]] void RefuseWeightsFile(const Error& error, const std::string& path, std::span<const uint8_t> bytes,
                                    bool is_of_its_kind);

std::string ShapeText(std::span<const int64_t> shape);  // "[96, 48]"
// product(shape) * ByteSize(dtype); nullopt for a negative dimension or 2^64 and more.
std::optional<uint64_t> ByteCount(std::span<const int64_t> shape, Dtype dtype);

// One file, mapped. Immutable; any thread may read. Entries point into it: keep the shared_ptr as long as the data.
class SafetensorsFile {
 public:
  // Throws Error: kNotFound or kInvalidArgument from MappedFile, kDataLoss for a damaged file. Every message begins
  // with the path.
  static std::shared_ptr<const SafetensorsFile> Open(const std::string& path);

  // The same for bytes that the caller keeps alive; `name` stands for the path.
  static std::shared_ptr<const SafetensorsFile> Parse(std::span<const uint8_t> bytes, const std::string& name);

  const TensorEntry* Find(std::string_view name) const;  // nullptr: not in this file
  const std::map<std::string, TensorEntry, std::less<>>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }  // the header's __metadata__
  const std::string& path() const { return path_; }
  const std::vector<std::string>& warnings() const { return warnings_; }  // what was passed over; one line each
  const MappedFile* mapping() const { return mapping_.get(); }            // null after Parse

 private:
  SafetensorsFile() = default;
  void Read(std::span<const uint8_t> bytes);

  std::string path_;
  std::shared_ptr<const MappedFile> mapping_;
  std::map<std::string, TensorEntry, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::string> warnings_;
};

}  // namespace diptych
