// What a file is that is not what was expected: the mistakes that happen to people who download models.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace diptych {

// By its first bytes (a few hundred suffice) and its size: what the file is and what helps, for the end of an error
// line: "a git-lfs pointer, ...". Empty: nothing that we know.
std::string FileKind(std::span<const uint8_t> first_bytes, uint64_t size);
std::string FileKind(const std::string& path);  // empty, too, when it cannot be read

// Whether the file begins as one; false, too, when it cannot be read.
bool IsGguf(const std::string& path);

// Names of downloads under way that belong to `path`, which may be a file that is there or one that is not, such as
// "model.safetensors.part": "" or ", but model.safetensors.part lies beside it: its download has not ended".
std::string UnfinishedDownloadOf(const std::string& path);

}  // namespace diptych
