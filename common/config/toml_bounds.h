// A look over the text of a TOML file before the library parses it. toml11 calls itself for every level of a list or
// table, and copies what it has of a list, an inline table or a dotted key with every further part of it.
#pragma once

#include <string>
#include <string_view>

namespace diptych {

// Linear in the text. Throws Error(kInvalidArgument), "file.toml:3: ...", for lists and inline tables that are nested
// deeper than 8 levels or hold more than 500 values, and for a key of more than 8 parts.
void CheckTomlBounds(std::string_view text, const std::string& path);

}  // namespace diptych
