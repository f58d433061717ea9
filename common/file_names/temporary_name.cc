#include "common/file_names/temporary_name.h"

#include <unistd.h>

#include <algorithm>

namespace diptych {

size_t LongestFileName(const std::filesystem::path& folder) {
  for (std::filesystem::path at = folder.empty() ? "." : folder; !at.empty(); at = at.parent_path()) {
    const long limit = pathconf(at.c_str(), _PC_NAME_MAX);
    if (limit > 0) return static_cast<size_t>(limit);
    if (at == at.parent_path()) break;
  }
  return 255;
}

std::string_view CutText(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > 0 && limit - end < 4 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

std::filesystem::path TemporaryBeside(const std::filesystem::path& file) {
  const std::string name = file.filename().string(), ending = ".part-" + std::to_string(getpid());
  const size_t limit = LongestFileName(file.parent_path());
  const std::string begin(CutText(name, limit - std::min(limit, ending.size())));
  return file.parent_path() / (begin + ending);
}

}  // namespace diptych
