#include "render_node/conditioning/encode_clock.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace diptych {
namespace {

double Seconds(EncodeClock::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

absl::Status EncodeClock::Heard(bool working, std::chrono::milliseconds worked, Time now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const double allowed = terms_.most_a_second * (1 + Seconds(now - begin_));
  if (static_cast<double>(++messages_) > allowed) {
    return absl::DataLossError(
        absl::StrCat("encode stream: it tells its progress more than ", terms_.most_a_second, " times a second"));
  }
  const std::chrono::milliseconds most = std::chrono::duration_cast<std::chrono::milliseconds>(now - begin_);
  worked_ = std::max<Duration>(worked_, std::clamp(worked, std::chrono::milliseconds(0), most));
  working_ = working;
  last_ = now;
  return absl::OkStatus();
}

absl::Status EncodeClock::Check(Time now) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (Worked(now) >= terms_.work) {
    return absl::DeadlineExceededError(absl::StrCat("no result within ", Seconds(terms_.work), " s"));
  }
  if (working_ || now - last_ < terms_.silence) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("it has said nothing for ", Seconds(terms_.silence), " s"));
}

EncodeClock::Time EncodeClock::Over() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (worked_ >= terms_.work) return last_;
  const Duration left = working_ ? terms_.work - worked_ : terms_.silence;
  return left < Time::max() - last_ ? last_ + left : Time::max();
}

EncodeClock::Duration EncodeClock::waited(Time now) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return now - begin_ - Worked(now);
}

// It may work on since it last said so.
EncodeClock::Duration EncodeClock::Worked(Time now) const { return worked_ + (working_ ? now - last_ : Duration(0)); }

}  // namespace diptych
