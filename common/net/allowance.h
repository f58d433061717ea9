// So much at once, so much a second.
#pragma once

#include <algorithm>
#include <chrono>

namespace diptych {

// A bucket that fills by itself. Begins full. Not thread-safe.
class Allowance {
 public:
  using Clock = std::chrono::steady_clock;

  Allowance(double per_second, double at_once) : per_second_(per_second), at_once_(at_once), left_(at_once) {}

  // False, and nothing is taken, when there is not as much.
  bool Take(double amount, Clock::time_point now) {
    Fill(now);
    if (left_ < amount) return false;
    left_ -= amount;
    return true;
  }

  // More than `at_once` it never has.
  void Earn(double amount) { left_ = std::min(at_once_, left_ + amount); }

  // When there will be as much, which is at most `at_once`.
  Clock::time_point When(double amount, Clock::time_point now) {
    Fill(now);
    const double seconds = std::max(0.0, amount - left_) / per_second_;
    return now + std::chrono::ceil<Clock::duration>(std::chrono::duration<double>(seconds));
  }

  bool IsFull(Clock::time_point now) {
    Fill(now);
    return left_ >= at_once_;
  }

 private:
  void Fill(Clock::time_point now) {
    if (now <= filled_) return;
    left_ = std::min(at_once_, left_ + per_second_ * std::chrono::duration<double>(now - filled_).count());
    filled_ = now;
  }

  double per_second_;
  double at_once_;
  double left_;
  Clock::time_point filled_ = Clock::now();
};

}  // namespace diptych
