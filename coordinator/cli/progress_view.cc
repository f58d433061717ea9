#include "coordinator/cli/progress_view.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/log/log.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/shown_text.h"
#include "coordinator/cli/wait_text.h"

namespace diptych {
namespace {

constexpr int kWideBar = 24, kSmallBar = 10;  // characters between the brackets

std::string Bar(const JobView& job, int width) {
  const int32_t steps = std::max(job.steps, 1);
  const int32_t step = job.state == JobState::kDecoding ? steps : std::clamp(job.step, 0, steps);
  const size_t filled = static_cast<size_t>(int64_t{width} * step / steps);
  return absl::StrCat("[", std::string(filled, '#'), std::string(static_cast<size_t>(width) - filled, '-'), "] ");
}

std::string PictureLabel(size_t number, size_t count) {
  return count > 1 ? absl::StrCat("picture ", number, " of ", count, ": ") : "";
}

// Texts of the same from long to short, all without a bar. `said`: as much as the state alone tells.
struct Wording {
  std::vector<std::string> texts;
  bool has_reason = false;  // somebody else's words, which are cut rather than left out
};

Wording Painting(const JobView& job, const std::string& label, const std::string& brief_label, const std::string& all,
                 const std::string& brief_all, std::optional<double> all_left_ms) {
  const int32_t steps = std::max(job.steps, 1), step = std::clamp(job.step, 0, steps);
  const std::string main = absl::StrCat(label, "step ", step, " of ", steps);
  const std::string sigma = job.sigma > 0 ? absl::StrFormat(", sigma %.2f", job.sigma) : "";
  const std::string pace =
      job.left_ms && step < steps ? absl::StrFormat(", %.2f s a step", *job.left_ms / (steps - step) / 1000) : "";
  const bool tells_left = job.left_ms && !IsSoon(job.left_ms);
  const std::string left = tells_left ? absl::StrCat(", ", DurationText(*job.left_ms), " left") : "";
  const std::string brief_left = tells_left ? absl::StrCat(" ", BriefDuration(*job.left_ms)) : "";
  const std::string counts = absl::StrCat(step, "/", steps);
  return {
      {main + sigma + pace + left + all, main + pace + left + all, main + left + all,
       absl::StrCat(brief_label, "step ", counts, brief_left, brief_all),
       absl::StrCat(brief_label, counts, brief_left, brief_all),
       absl::StrCat(brief_label, counts, all_left_ms ? absl::StrCat(" ", BriefDuration(*all_left_ms)) : brief_left)}};
}

Wording Otherwise(const JobView& job, const std::string& label, const std::string& brief_label, const std::string& all,
                  const std::string& brief_all, int64_t now) {
  std::string brief = absl::StrCat(brief_label, std::string(JobStateName(job.state)));
  if (job.place && job.place->pause) absl::StrAppend(&brief, " paused");
  if (job.place && job.state != JobState::kEncoding) absl::StrAppend(&brief, " ", job.place->jobs_ahead, " ahead");
  if (job.place && job.place->wait_ms && !IsSoon(job.place->wait_ms))
    absl::StrAppend(&brief, " ", BriefDuration(*job.place->wait_ms));
  if (job.tiles > 0) absl::StrAppend(&brief, " ", job.tiles_done, "/", job.tiles);
  if (job.state == JobState::kDecoding && job.until_done_ms && !IsSoon(job.until_done_ms)) {
    absl::StrAppend(&brief, " ", BriefDuration(*job.until_done_ms));
  }
  const bool has_reason = !job.detail.empty() || (job.place && (!job.place->held_up.empty() || job.place->pause));
  return {{absl::StrCat(label, StateNote(job, now), all), absl::StrCat(label, StateNote(job, now)), brief + brief_all,
           brief},
          has_reason};
}

Wording WordingOf(const JobView& job, size_t number, size_t count, std::optional<double> all_left_ms, int64_t now) {
  const std::string label = PictureLabel(number, count);
  const std::string brief_label = count > 1 ? absl::StrCat(number, "/", count, " ") : "";
  const bool tells_all = count > 1 && all_left_ms && !IsSoon(all_left_ms);
  const std::string all = tells_all ? absl::StrCat(", about ", DurationText(*all_left_ms), " left for all") : "";
  const std::string brief_all = tells_all ? absl::StrCat(" all ", BriefDuration(*all_left_ms)) : "";
  return job.state == JobState::kRendering
             ? Painting(job, label, brief_label, all, brief_all, tells_all ? all_left_ms : std::nullopt)
             : Otherwise(job, label, brief_label, all, brief_all, now);
}

bool Fits(const std::string& text, size_t columns) { return TextColumns(text) <= columns; }

std::string WhatFits(const std::vector<std::string>& texts, size_t columns) {
  for (const std::string& text : texts) {
    if (Fits(text, columns)) return text;
  }
  return OneLine(texts.back(), columns);
}

}  // namespace

std::string ProgressText(const JobView& job, size_t number, size_t count, std::optional<double> all_left_ms,
                         size_t columns, int64_t now_unix_ms) {
  const Wording wording = WordingOf(job, number, count, all_left_ms, now_unix_ms);
  const std::string label = PictureLabel(number, count);
  // The bar stands behind the label.
  const auto with_bar = [&](const std::string& text, int width) {
    return absl::StrCat(label, Bar(job, width), text.substr(std::min(label.size(), text.size())));
  };
  std::vector<std::string> texts;
  const size_t long_ones = job.state == JobState::kRendering ? 3 : 2;
  for (size_t i = 0; i < long_ones; ++i) texts.push_back(with_bar(wording.texts[i], kWideBar));
  texts.push_back(with_bar(wording.texts[long_ones - 1], kSmallBar));
  for (const std::string& text : texts) {
    if (Fits(text, columns)) return text;
  }
  if (wording.has_reason && columns >= 40) return OneLine(wording.texts[0], columns);
  return WhatFits(wording.texts, columns);
}

ProgressView::ProgressView(ProgressScreen screen, SeriesPlace place)
    : screen_(std::move(screen)), place_(std::move(place)) {}

ProgressView::~ProgressView() { Clear(); }

int64_t ProgressView::Now() const { return screen_.unix_ms ? screen_.unix_ms() : UnixMsNow(); }

std::string ProgressView::Label() const { return PictureLabel(place_.number, place_.count); }

void ProgressView::Clear() {
  if (bar_.empty()) return;
  WriteControl(screen_.err, "\r\x1b[K");
  screen_.err << std::flush;
  bar_.clear();
}

void ProgressView::Show(const JobView& job) {
  if (!screen_.columns || !screen_.redraws) {
    ShowLines(job);
  } else if (job.Ended()) {
    Clear();
  } else {
    const std::optional<double> all = place_.all_left_ms ? place_.all_left_ms(job) : std::nullopt;
    // A bar that reaches the last column would wrap, and the next one could not be drawn over it.
    const size_t columns = std::max<size_t>(screen_.columns(), 1) - 1;
    std::string bar = ProgressText(job, place_.number, place_.count, all, columns, Now());
    if (bar != bar_) {
      WriteControl(screen_.err, "\r");
      screen_.err << bar;
      WriteControl(screen_.err, "\x1b[K");
      screen_.err << std::flush;
    }
    bar_ = std::move(bar);
  }
  state_ = job.state;
  step_ = job.step;
  tiles_done_ = job.tiles_done;
}

void ProgressView::PrintLine(const std::vector<std::string>& variants) {
  constexpr int kMostLines = 10'000;  // of one job, whatever the renderer reports
  if (lines_ > kMostLines) return;
  if (++lines_ > kMostLines) {
    screen_.err << Label() << "the renderer reports without end; what follows is not shown" << std::endl;
    return;
  }
  const size_t columns = screen_.columns ? std::max<size_t>(screen_.columns(), 1) - 1 : 0;
  screen_.err << (columns == 0 ? variants.front() : WhatFits(variants, columns)) << std::endl;
}

void ProgressView::ShowLines(const JobView& job) {
  const std::string label = Label();
  const std::string brief_label = place_.count > 1 ? absl::StrCat(place_.number, "/", place_.count, " ") : "";
  std::optional<double> all;
  if (place_.all_left_ms && place_.count > 1 && job.step > step_) all = place_.all_left_ms(job);
  // Reports may be fewer than steps: each step gets its line all the same.
  const int32_t last = std::clamp(job.step, 0, std::max(job.steps, 0));
  for (int32_t step = std::max(step_, 0) + 1; step <= last; ++step) {
    const std::string main = absl::StrCat(label, "step ", step, " of ", job.steps);
    const size_t index = static_cast<size_t>(step - 1);
    const std::string took =
        index < job.timings.step_ms.size() ? absl::StrFormat(" (%.0f ms)", job.timings.step_ms[index]) : "";
    const bool tells_all = all && !IsSoon(all) && step == job.step;
    const std::string left = tells_all ? absl::StrCat(", about ", DurationText(*all), " left for all") : "";
    const std::string brief = absl::StrCat(brief_label, step, "/", job.steps);
    PrintLine({main + took + left, main + left, main,
               tells_all ? absl::StrCat(brief, " all ", BriefDuration(*all)) : brief, brief});
  }
  if (job.Ended()) return;  // the result says it
  // Numbers that run down are for a bar; why it waits is said when it changes.
  std::string reason = job.detail;
  if (job.place) absl::StrAppend(&reason, job.place->held_up, job.place->pause ? "|paused" : "");
  const bool more_tiles = job.state == JobState::kDecoding && job.tiles_done > tiles_done_;
  const bool same = job.state == state_ && reason == reason_ && !more_tiles;
  reason_ = reason;
  if (same) return;
  if (job.state == JobState::kRendering && job.step > 0) return;  // its steps say it
  const Wording wording = WordingOf(job, place_.number, place_.count, std::nullopt, Now());
  PrintLine(job.state == JobState::kRendering ? std::vector<std::string>{label + "rendering", brief_label + "rendering"}
                                              : wording.texts);
}

void ProgressView::Note(const std::string& text) {
  Clear();
  screen_.err << Label() << text << std::endl;
}

void ProgressView::Warn(const std::string& text) {
  Clear();
  screen_.err << "diptych: warning: " << text << std::endl;
}

}  // namespace diptych
