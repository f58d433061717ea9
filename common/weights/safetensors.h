// The safetensors container: u64 little-endian header length, JSON header {name: {dtype, shape, data_offsets: [begin,
// end)}}, data. Reading is checked throughout: whatever the bytes, the result is a whole file or an Error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/weights/weights_file.h"

namespace diptych {

// Throws Error(kDataLoss) when no safetensors file begins like this. Of fewer than kSafetensorsBeginBytes nothing is
// said.
inline constexpr size_t kSafetensorsBeginBytes = 9;
void CheckSafetensorsBegin(std::span<const uint8_t> begin, const std::string& name);

class SafetensorsFile final : public WeightsFile {
 public:
  // Throws Error: kNotFound or kInvalidArgument from MappedFile, kDataLoss for a damaged file. Every message begins
  // with the path.
  static std::shared_ptr<const SafetensorsFile> Open(const std::string& path);
  static std::shared_ptr<const SafetensorsFile> Open(std::shared_ptr<const MappedFile> mapping,
                                                     const std::string& path);

  // The same for bytes that the caller keeps alive; `name` stands for the path.
  static std::shared_ptr<const SafetensorsFile> Parse(std::span<const uint8_t> bytes, const std::string& name);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }  // the header's __metadata__

 private:
  SafetensorsFile() = default;
  void Read(std::span<const uint8_t> bytes);

  std::map<std::string, std::string> metadata_;
};

}  // namespace diptych
