// What a file of weights is that cannot be read as the part that was asked for, told by the names of its tensors.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/weights/layout.h"

namespace diptych {

// For the end of a line: "FLUX.1, another model; ..." with what to give instead. Empty: nothing that we know. To be
// asked when none of the tensors has a name of the part.
std::string OtherModel(ModelPart part, std::span<const RawTensor> raw);

// The same by what a container says that it holds (general.architecture of a GGUF file), which tells apart what has the
// same names. Empty, too, where it says nothing.
std::string OtherArchitecture(ModelPart part, std::string_view architecture);

// The same for tensors that have names of the part, all of which are given without a prefix: a relative with the same
// names (Lumina 2, Gemma, a LoRA).
std::string Relative(ModelPart part, std::span<const RawTensor> raw);

// Of weights that are stored in a form that is not read: "quantised as nvfp4, ..." with what to give instead. Empty:
// none of these.
std::string QuantisedForm(ModelPart part, std::span<const RawTensor> raw);

}  // namespace diptych
