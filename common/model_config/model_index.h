// model_index.json of a checkpoint folder: which classes its parts are, and, under the key "diptych", what the model is
// made for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace diptych {

// How a picture is painted for which nobody says otherwise.
struct ModelDefaults {
  int32_t width = 1024;  // pixels
  int32_t height = 1024;
  int32_t steps = 9;
  double guidance_scale = 0;
  // The words that the model knows, in lower case; empty: no such list. Of other words whoever uses them is told, and
  // of `words_described_in`.
  std::vector<std::string> words;
  std::string words_described_in;  // a file or an address; may be empty

  bool operator==(const ModelDefaults&) const = default;
};

// Z-Image, which is not distilled: as its card recommends.
inline constexpr int32_t kBaseSteps = 50;
inline constexpr double kBaseGuidanceScale = 4;

struct ModelIndex {
  ModelDefaults defaults;
  std::vector<std::string> warnings;  // one line each
};

// Reads FOLDER/model_index.json. Without the file, and for what it does not say, the defaults are Z-Image-Turbo's, or
// those of Z-Image when the folder or the file is named so (Z-Image, models--Tongyi-MAI--Z-Image), or, under a name
// that says nothing, when its scheduler_config.json has the shift 6 of Z-Image's (a warning says so). Throws
// Error(kInvalidArgument) naming the key for a part of a class that we do not follow and for a default out of range.
//   "diptych": {"width": 128, "height": 128, "steps": 9, "guidance_scale": 0,
//               "words": ["a", "red", "circle"], "words_described_in": "README.md"}
ModelIndex ReadModelIndex(const std::string& folder);

}  // namespace diptych
