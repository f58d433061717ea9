// What to say about a name in the TOML file that is none of ours.
#pragma once

#include <string>

namespace diptych {

// "unknown key "generation.steps"; did you mean "generation.num_inference_steps"?": the key of that name in another
// section, or the key of the flag of that name, or the nearest key when one is near; else what may stand in its
// section.
std::string UnknownKeyMessage(const std::string& key);

// The same for the name of a sub-table.
std::string UnknownSectionMessage(const std::string& section);

}  // namespace diptych
