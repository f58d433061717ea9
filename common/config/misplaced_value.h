// Flags that are written as other programs want them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace diptych {

// One line about the first word of the command line that stands where no value or no flag can stand: a value behind a
// switch ("--insecure true", which must be --insecure=true), a long flag with one dash ("-steps 9") or with a dash that
// a word processor made ("–steps"). nullopt: there is none. Ask it after app.parse() with allow_extras().
std::optional<std::string> MisplacedValue(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace diptych
