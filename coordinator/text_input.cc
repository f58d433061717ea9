#include "coordinator/text_input.h"

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";

// "" for text that may be UTF-8.
std::string_view ForeignEncoding(std::string_view bytes) {
  const auto begins = [&](std::string_view mark) { return bytes.substr(0, mark.size()) == mark; };
  if (begins({"\xFF\xFE\0\0", 4}) || begins({"\0\0\xFE\xFF", 4})) return "UTF-32";
  if (begins("\xFF\xFE") || begins("\xFE\xFF")) return "UTF-16";
  // Without a mark: the first character is hardly anything but ASCII, and no text begins with a NUL.
  if (bytes.size() < 4 || ((bytes[0] == '\0') == (bytes[1] == '\0'))) return "";
  return bytes[2] == '\0' && bytes[3] == '\0' ? "UTF-32" : "UTF-16";
}

}  // namespace

std::string_view PlainText(std::string_view bytes, const std::string& name) {
  if (const std::string_view encoding = ForeignEncoding(bytes); !encoding.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                name + " is " + std::string(encoding) +
                    " text, as PowerShell's > and Notepad's \"Unicode\" write it; save it as UTF-8 (iconv -f " +
                    std::string(encoding) + " -t UTF-8)");
  }
  if (bytes.substr(0, kUtf8Mark.size()) == kUtf8Mark) bytes.remove_prefix(kUtf8Mark.size());
  return bytes;
}

std::string ReadTextInput(const std::string& file, size_t limit, const InputSource& source) {
  const std::string bytes = ReadInput(file, limit, source);
  return std::string(PlainText(bytes, InputName(file)));
}

}  // namespace diptych
