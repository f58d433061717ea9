// Where the pictures of one command go.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace diptych {

// How many pictures: `count` when it was given, else one for each output.
// With as many outputs as pictures each has its own; with one output and several pictures FILE.png stands for
// FILE-1.png to FILE-N.png. Throws UsageError for any other number of outputs, an empty name, a name twice, and a name
// that is a folder.
std::vector<std::filesystem::path> NameOutputs(const std::vector<std::string>& outputs, int64_t count,
                                               bool count_given);

}  // namespace diptych
