// Which libtorch we compile against. Differences between versions are decided here and in layers.cc, nowhere else.
#pragma once

// torch/version.h came with 1.8; ATen alone is enough for us.
#include <torch/version.h>

#define DIPTYCH_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))
