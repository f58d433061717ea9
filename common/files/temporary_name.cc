#include "common/files/temporary_name.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

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

namespace {

// 12 letters and digits.
std::string ChanceText() {
  constexpr char kAlphabet[] = "0123456789abcdefghijklmnopqrstuv";  // 32
  constexpr size_t kLetters = 12;
  uint8_t bytes[kLetters];
  if (getentropy(bytes, sizeof bytes) != 0) throw std::system_error(errno, std::generic_category(), "getentropy");
  std::string text;
  for (const uint8_t byte : bytes) text += kAlphabet[byte % 32];
  return text;
}

}  // namespace

std::filesystem::path TemporaryBeside(const std::filesystem::path& file) {
  const std::string name = file.filename().string(), ending = std::string(kTemporaryMark) + ChanceText();
  const size_t limit = LongestFileName(file.parent_path());
  const std::string begin(CutText(name, limit - std::min(limit, ending.size())));
  return file.parent_path() / (begin + ending);
}

NewFile MakeTemporaryBeside(const std::filesystem::path& file, unsigned mode) {
  constexpr int kTries = 100;
  NewFile made;
  for (int i = 0; i < kTries; ++i) {
    made.path = TemporaryBeside(file);
    made.fd = open(made.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (made.fd >= 0 || errno != EEXIST) break;
  }
  return made;
}

}  // namespace diptych
