// The flow-match schedule: how noise becomes data in n steps. Pure numbers.
// Source: diffusers FlowMatchEulerDiscreteScheduler with explicit sigmas; goldens in
// tests/parity/data/golden_schedule_kinds.json.
#pragma once

#include <vector>

#include "common/model_config/schedule.h"

namespace diptych::sampler {

// steps + 1 noise levels in fp32: base s_i = 1 - i / steps, then shift s / (1 + (shift - 1) s), then what the schedule
// makes of them, then a final 0 (1 when it is inverted). steps >= 1, shift > 0. The last digits follow diffusers >=
// 0.39, which forms grid and shift in fp32. One step alone stays at 1, where diffusers has no number for a terminal.
std::vector<float> FlowMatchSigmas(int steps, double shift, const Schedule& schedule = {});

// The time that the network is told at a sigma: (1000 - 1000 sigma) / 1000 in fp32; 0 is noise.
float ModelTime(float sigma);

}  // namespace diptych::sampler
