// What a user names as input: whatever can be read to its end.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "common/concurrency/pause.h"

namespace diptych {

inline constexpr char kStandardInput[] = "-";

// Where standard input is, and who may end the waiting for it.
struct InputSource {
  int standard_input = 0;  // a file descriptor
  Pause pause = {};        // called again and again while it waits; empty: nobody ends it
};

// What a file begins with, looked at before the rest is read: a device has no end.
struct InputHead {
  size_t bytes = 0;
  // Gets so many bytes or more, or all of a shorter file; throws what the reader then throws. May be empty.
  std::function<void(std::string_view begin)> check = {};
};

// The whole of an ordinary file, a pipe, a FIFO, a socket or a device other than a terminal: <(...) and /dev/stdin are
// such. Waits for a FIFO's writer and for slow ones, until the pause throws.
// Throws Error: kNotFound when it cannot be opened, kInvalidArgument for a folder, a terminal and more than `limit`
// bytes, kUnavailable when reading fails; and what the pause throws.
std::string ReadBoundedFile(const std::filesystem::path& path, size_t limit, const Pause& pause = {},
                            const InputHead& head = {});

// The same, where "-" is standard input, whatever that is.
std::string ReadInput(const std::string& file, size_t limit, const InputSource& source = {},
                      const InputHead& head = {});

// What messages call it: "standard input", or the path.
std::string InputName(const std::string& file);

// False for what can be read once only, and has neither a size nor a neighbour: pipes, devices, "-".
bool IsOrdinaryFile(const std::string& file);

}  // namespace diptych
