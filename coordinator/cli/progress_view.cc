#include "coordinator/cli/progress_view.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log/log.h"
#include "coordinator/cli/result_text.h"

namespace diptych {
namespace {

constexpr int kBarWidth = 24;  // characters between the brackets

std::string StateNote(const JobView& job) {
  const std::string state(JobStateText(job.state)), reason = WaitText(job);
  return reason.empty() ? state : absl::StrCat(state, " (", reason, ")");
}

}  // namespace

std::string ProgressBar(const JobView& job) {
  const int32_t steps = std::max(job.steps, 1);
  const int32_t step = job.state == JobView::State::kDecoding ? steps : std::clamp(job.step, 0, steps);
  const size_t filled = static_cast<size_t>(int64_t{kBarWidth} * step / steps);
  std::string text = absl::StrCat("[", std::string(filled, '#'), std::string(kBarWidth - filled, '-'), "] ");
  if (job.state != JobView::State::kRendering) return text + StateNote(job);
  absl::StrAppend(&text, "step ", step, " of ", steps);
  if (job.sigma > 0) absl::StrAppendFormat(&text, ", sigma %.2f", job.sigma);
  if (job.left_ms) {
    if (step < steps) absl::StrAppendFormat(&text, ", %.2f s a step", *job.left_ms / (steps - step) / 1000);
    absl::StrAppendFormat(&text, ", %.0f s left", *job.left_ms / 1000);
  }
  return text;
}

ProgressView::ProgressView(std::ostream& err, std::function<size_t()> columns, std::string label)
    : err_(err), columns_(std::move(columns)), label_(label.empty() ? "" : std::move(label) + ": ") {}

ProgressView::~ProgressView() { Clear(); }

void ProgressView::Clear() {
  if (bar_.empty()) return;
  err_ << "\r\x1b[K" << std::flush;
  bar_.clear();
}

void ProgressView::Show(const JobView& job) {
  if (!columns_) {
    ShowLine(job);
  } else if (job.Ended()) {
    Clear();
  } else {
    // A bar that reaches the last column would wrap, and the next one could not be drawn over it.
    std::string bar = OneLine(label_ + ProgressBar(job), std::max<size_t>(columns_(), 1) - 1);
    if (bar != bar_) err_ << '\r' << bar << "\x1b[K" << std::flush;
    bar_ = std::move(bar);
  }
  state_ = job.state;
  step_ = job.step;
  detail_ = job.detail;
}

void ProgressView::ShowLine(const JobView& job) {
  // Reports may be fewer than steps: each step gets its line all the same.
  for (int32_t step = step_ + 1; step <= job.step; ++step) {
    err_ << label_ << "step " << step << " of " << job.steps;
    const size_t index = static_cast<size_t>(step - 1);
    if (index < job.timings.step_ms.size()) err_ << absl::StrFormat(" (%.0f ms)", job.timings.step_ms[index]);
    err_ << std::endl;
  }
  if (job.Ended()) return;  // the result says it
  if (job.state == state_ && job.detail == detail_) return;
  if (job.state == JobView::State::kRendering && job.step > 0) return;  // its steps say it
  err_ << label_ << StateNote(job) << std::endl;
}

void ProgressView::Note(const std::string& text) {
  Clear();
  err_ << label_ << text << std::endl;
}

}  // namespace diptych
