// The last step of a picture: to its file.
#pragma once

#include <filesystem>
#include <string>

#include "coordinator/cli/output_names.h"

namespace diptych {

// Finds out before the work whether the file can be written. Throws Error as PrepareToWritePicture.
void PrepareOutput(const OutputName& output, const OutputForm& form);

// Writes the renderer's PNG in the form that is wanted, and returns the file's name: another one than `output` says
// when that was chosen and has been taken meanwhile. Throws Error as FinishPicture and WriteFileAtomically.
std::filesystem::path WriteOutput(const OutputName& output, const OutputForm& form, const std::string& png,
                                  const std::optional<PictureFit>& fit = std::nullopt);

}  // namespace diptych
