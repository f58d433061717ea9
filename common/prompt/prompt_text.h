// What happens to the words of a prompt before they are put into the chat format (cleaning as in llm-dit-experiments).
#pragma once

#include <string>
#include <string_view>

namespace diptych {

// Strips white space from both ends, turns three or more line feeds in a row into two, and every run of other white
// space into one space. White space is what Python's str.isspace accepts: the Unicode set and U+001C..U+001F. The text
// is valid UTF-8.
std::string CleanWhitespace(std::string_view text);

// Deletes every ASCII double quote: the image model draws quoted text. Typographic quotes and apostrophes stay.
std::string RemoveQuotes(std::string_view text);

// Throws Error(kInvalidArgument) that names `what` and the offset of the first bad byte, unless `text` is valid UTF-8.
void CheckUtf8(std::string_view what, std::string_view text);

}  // namespace diptych
