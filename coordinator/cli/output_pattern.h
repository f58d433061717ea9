// Names of files with fields in braces: "{date}/{seed}.png".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace diptych {

// What a name may say of its picture.
struct PictureFacts {
  size_t index = 1;     // in the whole command, from 1
  size_t pictures = 1;  // of the whole command; the index has as many digits as this
  uint64_t seed = 0;
  std::string prompt;
  int32_t width = 0, height = 0;  // pixels
  int32_t steps = 0;
  int64_t unix_s = 0;  // when the command began
};

// Whether there is a field in it; "{{" and "}}" stand for braces and are none. Throws UsageError that begins with
// `what` for an unknown field, naming all, and for a brace without its other half.
bool HasFields(std::string_view pattern, const std::string& what);

// The name with the fields of this picture; date and time are local. A prompt becomes letters, digits and what is not
// ASCII, with "-" for anything else; it is cut so that it has at most 80 bytes and the name fits the file system, with
// some bytes to spare for a number.
std::string ExpandPattern(std::string_view pattern, const PictureFacts& facts);

// As "{prompt}" stands in a name, in at most `limit` bytes; "picture" when nothing is left of it.
std::string PromptInName(std::string_view prompt, size_t limit);

}  // namespace diptych
