// The one escape for text that is shown to people: on a terminal, in a log, in JSON.
#pragma once

#include <string>
#include <string_view>

namespace diptych {

// What a terminal may obey or what makes a line read otherwise than it is stored: C0, DEL, C1 (U+0080 to U+009F),
// U+2028 and U+2029, and the controls of bidirectional text (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to
// U+2069).
bool IsControl(char32_t code_point);

// One line: line breaks as \n and \r, tabs as \t, other controls and bytes that are no UTF-8 as \x1b, of characters
// beyond ASCII each byte for C1 (\xc2\x9b) and \u202e for the others. Everything else stays as it is.
std::string EscapeText(std::string_view text);

// The same for text of several lines of our own: line breaks stay.
std::string EscapeLines(std::string_view text);

// Of JSON text on one line: controls as \u202e, so that it stays JSON and of the same value. Bytes that are no UTF-8
// become U+FFFD.
std::string EscapeJson(std::string_view json);

}  // namespace diptych
