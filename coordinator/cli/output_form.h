// What becomes of the renderer's PNG: the format, quality and texts of the file that the user gets.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/image/picture_file.h"
#include "coordinator/order/picture_fit.h"

namespace diptych {

struct OutputForm {
  std::optional<PictureFormat> format = {};  // --format; unset: the name says it, and PNG where it does not
  int quality = 90;                          // of JPEG and WebP, from 1 to 100
  bool quality_given = false;
  bool metadata = true;    // receipt and parameters
  bool overwrite = false;  // files that are there, whatever they are
};
OutputForm ReadOutputForm(const Settings& settings);

// ".png", ".jpg" or ".webp", for a name that nobody chose.
std::string ExtensionOf(const OutputForm& form);

// Whether the name ends as those of pictures do; in lower or upper case.
std::optional<PictureFormat> FormatInName(const std::filesystem::path& name);

// `what` the name is called in front of an error. Throws UsageError for a name of a format that is not written, and for
// one that --format contradicts.
PictureFormat FormatOf(const std::filesystem::path& name, const OutputForm& form, const std::string& what);

// What to say of flags that change none of these files, one line each.
std::vector<std::string> IdleFormFlags(const OutputForm& form, const std::vector<std::filesystem::path>& names);

// The file: the PNG itself where that is wanted, else its pixels, cropped or padded, and its texts in the other format.
// Throws Error: kDataLoss for what is no PNG, kInvalidArgument for a picture that the format cannot hold.
std::string FinishPicture(const std::string& png, PictureFormat format, const OutputForm& form,
                          const std::optional<PictureFit>& fit = std::nullopt);

}  // namespace diptych
