// How far a job is, for people: a bar that is drawn over itself on a terminal, else a line for each step.
#pragma once

#include <cstddef>
#include <functional>
#include <ostream>
#include <string>

#include "coordinator/client/job.h"

namespace diptych {

// Of one job. Not thread-safe.
class ProgressView {
 public:
  // `columns`: of the terminal that `err` is, asked whenever the bar is drawn; empty: it is none. `label` stands in
  // front: "picture 2 of 4"; may be empty.
  ProgressView(std::ostream& err, std::function<size_t()> columns, std::string label);
  ~ProgressView();  // clears the bar

  void Show(const JobView& job);       // repeats nothing that was shown
  void Note(const std::string& text);  // a line of its own; the bar comes back with the next Show

 private:
  void Clear();
  void ShowLine(const JobView& job);

  std::ostream& err_;
  const std::function<size_t()> columns_;
  const std::string label_;
  std::string bar_;  // as it stands on the terminal
  JobView::State state_ = JobView::State::kUnknown;
  int32_t step_ = 0;
  std::string detail_;
};

// "[######------------] step 3 of 9, 0.41 s a step, 2 s left". One line, without control characters.
std::string ProgressBar(const JobView& job);

}  // namespace diptych
