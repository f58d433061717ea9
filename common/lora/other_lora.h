// What a file is that has nothing for the transformer of Z-Image, told by the names of its tensors.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace diptych {

// For behind "this is": "a LoRA of Stable Diffusion XL, another model", "a ControlNet, which is added in another way".
// Never empty.
std::string SeemsToBe(std::span<const std::string_view> names);

}  // namespace diptych
