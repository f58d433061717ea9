// Whole files, in and out.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace diptych {

// Throws Error: kNotFound when it cannot be opened, kInvalidArgument when it is no ordinary file or longer than `limit`
// bytes.
std::string ReadBoundedFile(const std::filesystem::path& path, size_t limit);

// A reader sees the old file or the whole new one, never a part. Throws Error(kUnavailable) naming path and reason.
void WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes);

// Makes the folder that `path` will lie in, and finds out whether a file can be written there, before work is done for
// it. Throws Error(kUnavailable) naming folder or file.
void PrepareToWrite(const std::filesystem::path& path);

}  // namespace diptych
