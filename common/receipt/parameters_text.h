// The text under which pictures travel between other programs: Automatic1111's "infotext".
#pragma once

#include <string>

#include "common/receipt/receipt.h"

namespace diptych {

// The prompt, a line "Negative prompt: ..." and one line of fields, in A1111's names and scales: its CFG scale is 1
// without guidance, where guidance_scale is 0. The receipt beside it keeps its own numbers.
//
// The negative line is there without a negative prompt, too, and a line break stands in front of the fields even
// without a prompt: ComfyUI's import looks for both. The fields are one line, the last, and begin with Steps, by which
// A1111, Civitai and SD Prompt Reader find them; so words like "Steps:" in a prompt do what they do in A1111's own
// files.
std::string ParametersText(const Receipt& receipt);

}  // namespace diptych
