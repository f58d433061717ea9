// What a file is called while it is written.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace diptych {

// Bytes that the name of a file in this folder may have; 255 where nobody says. A folder that is not there yet will be
// of its parent's kind.
size_t LongestFileName(const std::filesystem::path& folder);

// At most `limit` bytes of the text, whole UTF-8 characters where it is UTF-8.
std::string_view CutText(std::string_view text, size_t limit);

// What such names have before their letters and digits by chance.
inline constexpr std::string_view kTemporaryMark = ".part-";

// FILE.part-XXXXXXXXXXXX beside FILE, by chance: another user cannot have put a link there before. Of a name that
// leaves no room for the ending as much as fits stands in front of it.
std::filesystem::path TemporaryBeside(const std::filesystem::path& file);

// A new file beside `file`, under such a name, open for writing; `mode` less the umask. -1 and errno when there can be
// none. Neither a link nor anything else that is there already is opened.
struct NewFile {
  int fd = -1;
  std::filesystem::path path = {};
};
NewFile MakeTemporaryBeside(const std::filesystem::path& file, unsigned mode);

}  // namespace diptych
