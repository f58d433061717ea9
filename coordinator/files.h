// Whole files that are written.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace diptych {

// A device or a pipe: it is written to; a file that took its place would not be what its other users mean.
bool IsDevice(const std::filesystem::path& path);

// Of a file or folder that is made: what a prompt can be read from is its owner's alone.
enum class Readers { kAsUmaskSays, kOwner };

// WriteFileAtomically where nothing must be lost: false, and nothing done, when there is a file of this name already.
bool WriteNewFileAtomically(const std::filesystem::path& path, std::string_view bytes);

// A reader sees the old file or the whole new one, never a part. A symbolic link stays one, and what it names is
// written; so is a device or a pipe, piece by piece. Throws Error(kUnavailable) naming path and reason.
void WriteFileAtomically(const std::filesystem::path& given, std::string_view bytes,
                         Readers readers = Readers::kAsUmaskSays);

// Makes the folder that the file will lie in, and finds out whether a file can be written there, before work is done
// for it. Throws Error(kUnavailable) naming folder or file.
void PrepareToWrite(const std::filesystem::path& given, Readers readers = Readers::kAsUmaskSays);

// The same for a picture. Throws Error(kInvalidArgument) also when there is a file that is neither empty nor a PNG, a
// JPEG or a WebP: whoever made it did not mean it to become one.
void PrepareToWritePicture(const std::filesystem::path& given);

// Whether writing to it would be writing to this program's standard output.
bool IsStandardOutput(const std::filesystem::path& path);

}  // namespace diptych
