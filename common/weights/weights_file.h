// One file of weights, whatever its container.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/error.h"
#include "common/weights/dtype.h"
#include "common/weights/mapped_file.h"

namespace diptych {

// Mapped. Immutable; any thread may read. Entries point into it: keep the shared_ptr as long as the data.
class WeightsFile {
 public:
  virtual ~WeightsFile() = default;
  WeightsFile(const WeightsFile&) = delete;
  WeightsFile& operator=(const WeightsFile&) = delete;

  const TensorEntry* Find(std::string_view name) const {  // nullptr: not in this file
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  const std::map<std::string, TensorEntry, std::less<>>& tensors() const { return tensors_; }
  const std::string& path() const { return path_; }
  const std::vector<std::string>& warnings() const { return warnings_; }  // what was passed over; one line each
  const MappedFile* mapping() const { return mapping_.get(); }            // null for bytes of the caller's

 protected:
  WeightsFile() = default;

  std::string path_;
  std::shared_ptr<const MappedFile> mapping_;
  std::map<std::string, TensorEntry, std::less<>> tensors_;
  std::vector<std::string> warnings_;
};

// A file of any container that is read: SafetensorsFile or GgufFile, by its first bytes. Throws what their Open throws.
std::shared_ptr<const WeightsFile> OpenWeightsFile(const std::string& path);

// Throws anew what reading the file `path` threw, with what helps: what kind of file it is instead (unless it begins as
// one of its kind), and whether its download or copy was cut short. Of every container of weights.
[[noreturn]] void RefuseWeightsFile(const Error& error, const std::string& path, std::span<const uint8_t> bytes,
                                    bool is_of_its_kind);

}  // namespace diptych
