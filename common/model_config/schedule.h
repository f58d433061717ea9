// What a checkpoint says about its noise schedule (scheduler/scheduler_config.json), with the meaning and the defaults
// of diffusers' FlowMatchEulerDiscreteScheduler. Source: diffusers 0.42.1, scheduling_flow_match_euler_discrete.py;
// goldens in tests/parity/data/golden_schedule_kinds.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace diptych {

// How the steps lie between the first noise level and the last.
enum class Spacing { kEven, kKarras, kExponential, kBeta };

// All that determines the noise levels besides their number and the shift.
struct Schedule {
  Spacing spacing = Spacing::kEven;
  std::optional<double> sigma_min = {},
                        sigma_max = {};  // ends of a spacing that is not even; unset: those of the shifted levels
  double terminal = 0;                   // the level before the final 0; 0: wherever the shift puts it
  bool inverted = false;                 // 1 - sigma, for models that count noise the other way round

  bool operator==(const Schedule&) const = default;
};

// "" for Z-Image-Turbo's own, even and neither stretched nor inverted; else all of it, "karras" or "even, terminal 0.1,
// inverted". Equal exactly for equal schedules; the receipt carries it.
std::string ToText(const Schedule& schedule);

// A shift that follows the size of the picture: mu lies on the line through two numbers of image tokens.
struct DynamicShift {
  double base_shift = 0.5, max_shift = 1.15;                  // mu
  double base_image_seq_len = 256, max_image_seq_len = 4096;  // image tokens
  bool exponential = true;                                    // the shift is e^mu; else mu

  // The static shift that gives the same levels.
  double For(int64_t image_tokens) const;
  bool operator==(const DynamicShift&) const = default;
};

struct ScheduleFacts {
  Schedule schedule;
  double shift = 3.0;                   // what Z-Image-Turbo uses
  std::optional<DynamicShift> dynamic;  // in place of `shift`
  std::vector<std::string> warnings;    // one line each
};

// `json_text` is scheduler_config.json, `name` its name for messages. Throws Error(kInvalidArgument) naming the key for
// another class of scheduler and for what would change the numbers in a way that we do not follow.
ScheduleFacts ParseSchedule(const std::string& json_text, const std::string& name);

// The file of this folder; of a folder without one Z-Image-Turbo's schedule.
ScheduleFacts ReadSchedule(const std::string& folder);

}  // namespace diptych
