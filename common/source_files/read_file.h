// A whole file as text.
#pragma once

#include <cstdint>
#include <string>

namespace diptych {

// All bytes of the ordinary file, which is noted as read (files_read.h). Throws Error naming the path: kNotFound when
// it cannot be opened (a link that points nowhere is called one), kInvalidArgument for what is no ordinary file or
// longer than `most` bytes, kUnavailable when it changes while it is read.
std::string ReadWholeFile(const std::string& path, int64_t most);

// Whether there is nothing of this name. A link to nowhere is something, and so is what cannot be looked at: whoever
// reads it then says why it cannot be read.
bool IsAbsent(const std::string& path);

// "PATH: a FIFO, expected an ordinary file" and the like, of a file with this st_mode that is none.
std::string NotAFile(const std::string& path, uint32_t mode);

// "PATH: a link to TARGET, which is not there" or "PATH: No such file or directory": why opening it failed with
// `error_number`.
std::string OpenProblem(const std::string& path, int error_number);

}  // namespace diptych
