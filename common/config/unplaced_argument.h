// What to say about a word of the command line that has no place in it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace diptych {

// After app.parse() with allow_extras(): one line about the first unknown flag, else about the first argument too many,
// "unknown flag --sed; did you mean --seed? (diptych generate --help lists the flags)". nullopt: every word had a
// place. `hint` follows an argument too many: "; a prompt of several words needs quotes".
std::optional<std::string> UnplacedArgument(const CLI::App& app, std::string_view hint = "");

// A flag of another program with one dash and several letters, "-ngl", which would be read as "-n gl": the same line.
// Before the arguments are parsed. nullopt: there is none.
std::optional<std::string> ForeignShortFlag(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace diptych
