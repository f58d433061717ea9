// A name that is none of ours: which one somebody probably meant, and what to say about it in a file and on the command
// line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace diptych {

// The fewest insertions, deletions and replacements of one byte and swaps of two neighbours that turn one text into
// the other; no byte is edited twice.
size_t EditDistance(std::string_view left, std::string_view right);

// A name without section and leading dashes, its words joined by '_': "encoder.hidden_layer" and "--hidden-layer" are
// both "hidden_layer".
std::string BareName(std::string_view name);

// The candidate nearest to `text` by its bare name, of equals the one with the nearest section. nullopt when none is
// near: more than a third of the longer name is different.
std::optional<std::string> NearestKey(std::string_view text, const std::vector<std::string>& candidates);

// "unknown key "generation.steps"; did you mean "generation.num_inference_steps"?": the key of that name in another
// section, or the key of the flag of that name, or the nearest key when one is near; else what may stand in its
// section.
std::string UnknownKeyMessage(const std::string& key);

// The same for the name of a sub-table.
std::string UnknownSectionMessage(const std::string& section);

// About a word that has no place in the command line, after app.parse() with allow_extras(): one line about the first
// unknown flag, else about the first argument too many, "unknown flag --sed; did you mean --seed? (diptych generate
// --help lists the flags)". nullopt: every word had a place. `hint` follows an argument too many: "; a prompt of
// several words needs quotes".
std::optional<std::string> UnplacedArgument(const CLI::App& app, std::string_view hint = "");

// A flag of another program with one dash and several letters, "-ngl", which would be read as "-n gl": the same line.
// Before the arguments are parsed. nullopt: there is none.
std::optional<std::string> ForeignShortFlag(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace diptych
