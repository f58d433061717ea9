// How long pictures take, as far as the last ones tell: for the waits that the queue foretells.
#pragma once

#include <optional>

namespace diptych {

// Moving averages. Not thread-safe.
class PicturePace {
 public:
  // A picture of `work` (PictureWork) had `ms` of the painter's time.
  void Painted(double ms, double work) {
    Follow(picture_ms_, ms);
    if (work > 0) Follow(ms_per_work_, ms / work);
  }

  // Unset until a picture was painted.
  std::optional<double> picture_ms() const { return picture_ms_; }  // whatever its size
  std::optional<double> TimeOf(double work) const {                 // ms
    return ms_per_work_ ? std::optional(*ms_per_work_ * work) : std::nullopt;
  }

 private:
  static constexpr double kNewestShare = 0.2;
  static void Follow(std::optional<double>& average, double newest) {
    average = average ? *average + kNewestShare * (newest - *average) : newest;
  }

  std::optional<double> picture_ms_, ms_per_work_;
};

}  // namespace diptych
