// A file in memory without reading it: the kernel loads pages when they are touched and may drop them again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/source_files/file_facts.h"

namespace diptych {

// Read-only view of a whole file, given back by the destructor. A private mapping that nobody writes to: pages are
// shared with every other program that maps the file. Where the file system has no mappings the file is read into
// memory. The bytes are valid while the object lives; of a mapping they are the file's own, so they change when
// somebody writes into it (FactsNow shows it), and touching what was cut off ends the process with a line that names
// the file (mapping_fault.h). Replacing the file by rename is harmless. Any thread may read.
class MappedFile {
 public:
  // The file is noted as read (files_read.h). Throws Error: kNotFound when there is no such file, kInvalidArgument when
  // it is not a regular file or cannot be read, kResourceExhausted when it must be read into memory and there is not
  // enough.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Empty for an empty file.
  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }  // as given

  // Not empty: the bytes are a copy, which nothing that happens to the file can change; one line that says why and what
  // it costs.
  const std::string& copied_because() const { return copied_because_; }

  const FileFacts& facts() const { return facts_; }  // when it was opened
  // Of the file that was opened, whatever lies at its path now; nullopt: the file system does not answer.
  std::optional<FileFacts> FactsNow() const { return FactsOf(descriptor_); }

  // Reads `into` from the file as it is now, without touching the mapping. False: it ends before, or cannot be read.
  bool ReadNow(uint64_t offset, std::span<uint8_t> into) const;

 private:
  void ReadIntoMemory(int why);

  const std::string path_;
  int descriptor_ = -1;
  FileFacts facts_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  int fault_slot_ = -1;
  std::string copied_because_;
};

}  // namespace diptych
