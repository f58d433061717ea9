// What a job is painted from.
#pragma once

#include <optional>

#include "common/conditioning/conditioning.h"
#include "common/picture/prepare_source.h"

namespace diptych {

struct JobInputs {
  Conditioning positive;
  std::optional<Conditioning> negative;  // set when guidance is on
  // What the picture begins as, where that was made ready before the painter's turn (IsSmallSource).
  std::optional<PreparedSource> source;
};

}  // namespace diptych
