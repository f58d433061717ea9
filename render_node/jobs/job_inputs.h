// What a job is painted from.
#pragma once

#include <optional>

#include "common/conditioning/conditioning.h"

namespace diptych {

struct JobInputs {
  Conditioning positive;
  std::optional<Conditioning> negative;  // set when guidance is on
};

}  // namespace diptych
