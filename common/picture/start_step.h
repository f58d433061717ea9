// Where in its schedule a picture that is made from another one begins. Pure numbers.
#pragma once

#include <algorithm>
#include <cstdint>

namespace diptych {

// How many of `steps` are left out when a picture keeps 1 - strength of another one: the rest, steps - FirstStep(), is
// evaluated, so that 8 steps at 0.6 are 5 evaluations. strength 1: all steps, from pure noise; 0: none. In double, and
// cut off rather than rounded, as diffusers 0.42.1 (ZImageImg2ImgPipeline.get_timesteps). steps >= 0, strength 0..1.
inline int32_t FirstStep(int32_t steps, double strength) {
  const double all = steps, taken = std::min(all * strength, all);
  return static_cast<int32_t>(std::max(all - taken, 0.0));
}

}  // namespace diptych
