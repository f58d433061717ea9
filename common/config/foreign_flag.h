// Flags that users know from stable-diffusion.cpp, llama.cpp, ComfyUI, A1111 and diffusers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace diptych {

// What stands here in place of another program's flag: "stable-diffusion.cpp and ComfyUI count from 1, ...: write
// --guidance-scale 3.5". `value`: what was given with it, may be empty. `known`: the flags of this command line; advice
// that names another one is not given. nullopt: nothing is known about it.
std::optional<std::string> ForeignFlagAdvice(std::string_view flag, const std::string& value,
                                             const std::vector<std::string>& known);

// The programs that take this very flag while this one does not: "; it is a flag of diptych-renderd". Empty: none does.
std::string WhoTakesFlag(std::string_view flag);

}  // namespace diptych
