// How far a job is, for people: a bar that is drawn over itself on a terminal, else a line for each change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "coordinator/client/job.h"

namespace diptych {

// Where the job stands among those of the command.
struct SeriesPlace {
  size_t number = 1;  // "picture 2 of 3"
  size_t count = 1;   // 1: it is the only one, and nothing is said of it
  // Until all are done, ms, given the job's present report; empty or nullopt: nobody knows.
  std::function<std::optional<double>(const JobView&)> all_left_ms = {};
};

// What the view is drawn on.
struct ProgressScreen {
  std::ostream& err;
  std::function<size_t()> columns = {};   // of the terminal that `err` is, asked for each drawing; empty: it is none
  bool redraws = true;                    // the terminal understands control sequences
  std::function<int64_t()> unix_ms = {};  // the time; empty: the system's
};

// Of one job. Not thread-safe.
class ProgressView {
 public:
  explicit ProgressView(ProgressScreen screen, SeriesPlace place = {});
  ~ProgressView();  // clears the bar

  void Show(const JobView& job);       // repeats nothing that was shown
  void Note(const std::string& text);  // a line of its own; the bar comes back with the next Show
  void Warn(const std::string& text);  // likewise, as a warning of the program

 private:
  void Clear();
  void ShowLines(const JobView& job);
  void PrintLine(const std::vector<std::string>& variants);
  std::string Label() const;
  int64_t Now() const;

  const ProgressScreen screen_;
  const SeriesPlace place_;
  std::string bar_;  // as it stands on the terminal
  JobState state_ = JobState::kUnknown;
  int32_t step_ = 0;
  int32_t tiles_done_ = 0;
  int lines_ = 0;       // printed, of steps and states
  std::string reason_;  // what was said of the wait, without numbers that run
};

// "[######------------] step 3 of 9, 0.41 s a step, 2 s left". One line of at most so many columns, without control
// characters: where there is less room the bar goes first, then words, and the numbers stay.
// `all_left_ms`: until all pictures of the series are done.
std::string ProgressText(const JobView& job, size_t number, size_t count, std::optional<double> all_left_ms,
                         size_t columns, int64_t now_unix_ms);

}  // namespace diptych
