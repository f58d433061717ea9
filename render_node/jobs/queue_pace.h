// How long prompts and pictures take, as far as the last ones tell: for the waits that the queue foretells.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace diptych {

// Moving averages of what one kind of work takes. Not thread-safe.
class WorkPace {
 public:
  // `work` took `ms`; in whatever unit, above 0.
  void Took(double ms, double work) {
    if (work > 0) Follow(ms_per_work_, ms / work);
  }
  // ms; unset until something was measured. No work takes no time.
  std::optional<double> TimeOf(double work) const {
    if (work <= 0) return 0;
    return ms_per_work_ ? std::optional(*ms_per_work_ * work) : std::nullopt;
  }
  bool measured() const { return ms_per_work_.has_value(); }

  static void Follow(std::optional<double>& average, double newest) {
    constexpr double kNewestShare = 0.2;
    average = average ? *average + kNewestShare * (newest - *average) : newest;
  }

 private:
  std::optional<double> ms_per_work_;
};

// What happens before the painter takes up a job.
struct LineAhead {
  double work = 0;         // PictureWork of what is painted before it
  double painted_ms = 0;   // that the painter has spent on it already
  double encode_work = 0;  // EncodeWorkOf of all prompts that are encoded before it may be painted, its own included
  double encoded_ms = 0;   // that was spent on its own prompt already
  int64_t lanes = 1;       // prompts that are encoded at a time
};

// Not thread-safe.
class QueuePace {
 public:
  // A prompt's EncodeWorkOf took an encoder `ms`, the way to it and back included.
  void Encoded(double ms, double encode_work) { encode_.Took(ms, encode_work); }
  // A step of a picture took `ms`, `work` of its PictureWork: counts as long as no picture was painted.
  void Stepped(double ms, double work) {
    if (!paint_.measured()) step_.Took(ms, work);
  }
  // A picture's `pixels` were decoded.
  void Decoded(double ms, double pixels) { decode_.Took(ms, pixels); }
  // A picture of `work` (PictureWork) had `ms` of the painter's time.
  void Painted(double ms, double work) {
    WorkPace::Follow(picture_ms_, ms);
    paint_.Took(ms, work);
  }

  // Unset until as much was measured as each needs. ms.
  std::optional<double> picture_ms() const { return picture_ms_; }  // whatever its size
  std::optional<double> PaintTime(double work) const {
    return paint_.measured() ? paint_.TimeOf(work) : step_.TimeOf(work);
  }
  std::optional<double> DecodeTime(double pixels) const { return decode_.TimeOf(pixels); }
  // Prompts are encoded while others are painted, so the longer of the two counts.
  std::optional<double> UntilBegun(const LineAhead& ahead) const {
    const std::optional<double> paint = PaintTime(ahead.work), encode = encode_.TimeOf(ahead.encode_work);
    if (!paint || !encode) return std::nullopt;
    const double encode_ms = *encode / static_cast<double>(std::max<int64_t>(1, ahead.lanes)) - ahead.encoded_ms;
    return std::max({0.0, *paint - ahead.painted_ms, encode_ms});
  }

 private:
  std::optional<double> picture_ms_;
  WorkPace encode_, step_, paint_, decode_;
};

}  // namespace diptych
