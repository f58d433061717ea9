#include "coordinator/cli/job_table.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/wait_text.h"

namespace diptych {
namespace {

constexpr size_t kStateColumns = 9, kStepColumns = 7, kAgeColumns = 8, kSizeColumns = 9, kClientColumns = 12;
constexpr size_t kLeastPrompt = 16;
constexpr size_t kShortId = 8;

std::string Right(const std::string& text, size_t columns) {
  return std::string(columns - std::min(columns, TextColumns(text)), ' ') + text;
}
std::string Left(const std::string& text, size_t columns) {
  const std::string line = OneLine(text, columns);
  return line + std::string(columns - std::min(columns, TextColumns(line)), ' ');
}

// As many characters from the end of an id as tell all of these apart, kShortId at least.
size_t ShortIdLength(const std::vector<JobView>& jobs, size_t longest) {
  for (size_t length = kShortId; length < longest; ++length) {
    std::set<std::string> ends;
    for (const JobView& job : jobs) ends.insert(job.id.substr(job.id.size() - std::min(length, job.id.size())));
    if (ends.size() == jobs.size()) return length;
  }
  return longest;
}

// One job's cells.
struct Cells {
  std::string id, state, step, age, size, seed, client, prompt;
};

struct Layout {
  size_t id = 0, seed = 0;
  bool client = true;

  size_t BeforePrompt() const {
    return id + 2 + kStateColumns + 2 + kStepColumns + 2 + kAgeColumns + 2 + kSizeColumns + 2 + seed + 2 +
           (client ? kClientColumns + 2 : 0);
  }
  std::string Row(const Cells& cells, size_t columns) const {
    std::string row = absl::StrCat(Left(cells.id, id), "  ", Left(cells.state, kStateColumns), "  ",
                                   Right(cells.step, kStepColumns), "  ", Right(cells.age, kAgeColumns), "  ",
                                   Left(cells.size, kSizeColumns), "  ", Left(cells.seed, seed), "  ");
    if (client) absl::StrAppend(&row, Left(cells.client, kClientColumns), "  ");
    return absl::StrCat(row, OneLine(cells.prompt, columns - std::min(columns, BeforePrompt())), "\n");
  }
};

Cells CellsOf(const JobView& job, size_t id_length, int64_t now) {
  return {.id = job.id.substr(job.id.size() - std::min(id_length, job.id.size())),
          .state = std::string(JobStateName(job.state)),
          .step = absl::StrCat(job.step, "/", job.steps),
          .age = job.accepted_unix_ms > 0 ? DurationText(static_cast<double>(now - job.accepted_unix_ms)) : "",
          .size = absl::StrCat(job.width, "x", job.height),
          .seed = absl::StrCat(job.seed),
          .client = job.client,
          .prompt = job.prompt};
}

std::string Reason(const JobView& job, int64_t now) {
  if (!job.error.empty()) return absl::StrCat("error: ", job.error);
  const std::string wait = WaitText(job, now);
  return job.state == JobState::kReady ? absl::StrCat(StateText(job), wait.empty() ? "" : "; ", wait) : wait;
}

// Without columns that line up.
std::string NarrowRow(const Cells& cells, size_t columns) {
  return absl::StrCat(OneLine(absl::StrCat(cells.id, " ", cells.state, " ", cells.step, " ", cells.age), columns), "\n",
                      OneLine(absl::StrCat("  ", cells.size, " ", cells.seed, " ", cells.prompt), columns), "\n");
}

}  // namespace

std::string JobTable(const std::vector<JobView>& jobs, size_t columns, int64_t now) {
  columns = std::max<size_t>(columns, 20);
  Layout layout{.id = 2, .seed = 4};
  for (const JobView& job : jobs) {
    layout.id = std::max(layout.id, TextColumns(job.id));
    layout.seed = std::max(layout.seed, absl::StrCat(job.seed).size());
  }
  const auto fits = [&] { return layout.BeforePrompt() + kLeastPrompt <= columns; };
  if (!fits()) layout.id = ShortIdLength(jobs, layout.id);
  if (!fits()) layout.client = false;
  const bool narrow = !fits();
  std::string table =
      narrow ? "" : layout.Row({"ID", "STATE", "STEP", "AGE", "SIZE", "SEED", "CLIENT", "PROMPT"}, columns);
  for (const JobView& job : jobs) {
    const Cells cells = CellsOf(job, layout.id, now);
    table += narrow ? NarrowRow(cells, columns) : layout.Row(cells, columns);
    const std::string reason = Reason(job, now);
    if (!reason.empty()) absl::StrAppend(&table, OneLine(absl::StrCat(narrow ? "  " : "    ", reason), columns), "\n");
  }
  return table;
}

}  // namespace diptych
