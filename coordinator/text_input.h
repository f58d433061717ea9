// Text that users have in files and pipes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "coordinator/input.h"

namespace diptych {

// The UTF-8 text without its byte order mark. Throws Error(kInvalidArgument) that begins with `name` for text in UTF-16
// or UTF-32, with or without a mark. Whether the rest is UTF-8 is for the reader to check.
std::string_view PlainText(std::string_view bytes, const std::string& name);

// The whole of an input as such text. Throws Error as ReadInput and PlainText.
std::string ReadTextInput(const std::string& file, size_t limit, const InputSource& source = {});

}  // namespace diptych
