#include "common/foreign_text/foreign_text.h"

#include "common/foreign_text/escape.h"
#include "common/prompt/utf8.h"

namespace diptych {
namespace {

constexpr size_t kRestBytes = 40;  // "... (18446744073709551615 more bytes)" is shorter

std::string RestText(size_t bytes) { return "... (" + std::to_string(bytes) + " more bytes)"; }

// The most whole characters of `text` from its beginning whose `shown` forms take at most `most` bytes together.
template <typename Shown>
std::string Beginning(std::string_view text, size_t most, size_t* end, Shown&& shown) {
  std::string beginning;
  for (*end = 0; *end < text.size();) {
    const std::string_view character = text.substr(*end, ReadUtf8Character(text, *end).bytes);
    const std::string form = shown(character);
    if (beginning.size() + form.size() > most) break;
    beginning += form;
    *end += character.size();
  }
  return beginning;
}

template <typename Shown>
std::string Cut(std::string_view text, size_t most, Shown&& shown) {
  size_t end = 0;
  std::string whole = Beginning(text, most, &end, shown);
  if (end == text.size()) return whole;
  std::string beginning = Beginning(text, most > kRestBytes ? most - kRestBytes : 0, &end, shown);
  return beginning + RestText(text.size() - end);
}

}  // namespace

std::string ForeignText(std::string_view text, size_t most) {
  return Cut(text, most, [](std::string_view character) { return EscapeText(character); });
}

std::string QuotedForeignText(std::string_view text) { return "\"" + ForeignText(text) + "\""; }

std::string CutMessage(std::string_view message, size_t most) {
  if (message.size() <= most) return std::string(message);
  return Cut(message, most, [](std::string_view character) { return std::string(character); });
}

}  // namespace diptych
