#include "coordinator/cli/picture_output.h"

#include "coordinator/files.h"

namespace diptych {

void PrepareOutput(const OutputName& output, const OutputForm& form) {
  if (form.overwrite) {
    PrepareToWrite(output.path);
  } else {
    PrepareToWritePicture(output.path);
  }
}

std::filesystem::path WriteOutput(const OutputName& output, const OutputForm& form, const std::string& png,
                                  const std::optional<PictureFit>& fit) {
  const std::string bytes = FinishPicture(png, output.format, form, fit);
  std::filesystem::path path = output.path;
  if (!output.chosen || form.overwrite) {
    WriteFileAtomically(path, bytes);
    return path;
  }
  while (!WriteNewFileAtomically(path, bytes)) path = NextName(path);
  return path;
}

}  // namespace diptych
