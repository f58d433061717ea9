// The jobs that a command is about: by id, by a short id, the last one, or by what they have in common.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "coordinator/cli/environment.h"
#include "coordinator/client/render_client.h"

namespace diptych {

struct JobPick {
  std::vector<std::string> names;  // as the user gave them; empty: `selection` says which
  JobSelection selection;          // without time and client
  double hours = 0;                // 0: however old
  bool everybody = false;          // not only the user's own
  std::string caller;              // the user's name
};

// Reads --state, --text, --hours, --mine, --all. Throws UsageError for neither names nor one of these, for both, and
// for
// --mine with --all.
JobPick ReadJobPick(const Settings& settings, const std::vector<std::string>& names);

// "done" as a state; throws UsageError naming all of them.
JobState ParseState(const std::string& text);

// One job, or why there is none.
struct PickedJob {
  std::string id;     // whole; as the user gave it where there is none
  std::string error;  // not empty: there is no such job, or several
};

// Names in the order in which they were given, each job once; else the jobs of the selection, oldest first. `usual`:
// the states of these where the user names none. A name may be a whole id, its beginning or end in capital or small
// letters that fits one job alone, and "last": the newest job of the caller's. Throws Error when the renderer cannot be
// asked.
std::vector<PickedJob> FindJobs(const JobPick& pick, const RenderClient& client, const std::vector<JobState>& usual,
                                Environment& environment);

// Works on one after another. A job that fails does so alone: with several it is said, and in the end Error counts
// them, "2 of 5 jobs could not be cancelled; the first: ...". `done`: "cancelled". `failed` (may be empty) is told of
// each.
void ForEachPicked(const std::vector<PickedJob>& jobs, const std::string& done, Environment& environment,
                   const std::function<void(const std::string& id)>& work,
                   const std::function<void(const std::string& id, const std::exception& error)>& failed);

}  // namespace diptych
