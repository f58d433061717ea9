#include "coordinator/cli/job_pick.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/options.h"
#include "common/error/error.h"
#include "common/foreign_text/escape.h"
#include "coordinator/cli/caller_name.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/wait_text.h"
#include "coordinator/order/prompt_options.h"

namespace diptych {
namespace {

constexpr size_t kIdLength = 26;
constexpr size_t kMostCandidates = 8;  // named
constexpr size_t kMostCounted = 100;   // of those that a name may mean
constexpr char kLast[] = "last";

std::string Upper(std::string text) {
  absl::AsciiStrToUpper(&text);
  return text;
}

// What a name that is no whole id may mean.
struct ShortName {
  bool exact = false;              // it is an id after all
  std::vector<std::string> found;  // newest first
};

PickedJob Decide(const std::string& name, const ShortName& meant) {
  if (meant.found.size() == 1) return {meant.found[0], ""};
  if (meant.found.empty()) return {name, absl::StrCat("there is no job ", name)};
  std::vector<std::string> first(meant.found.begin(),
                                 meant.found.begin() + std::min(kMostCandidates, meant.found.size()));
  const size_t more = meant.found.size() - first.size();
  return {name, absl::StrCat(name, " is the beginning or end of ", meant.found.size(),
                             meant.found.size() == kMostCounted ? " jobs and more: " : " jobs: ",
                             absl::StrJoin(first, ", "), more > 0 ? " and others" : "")};
}

ShortName LookUp(const std::string& name, const RenderClient& client, const Environment& environment) {
  ShortName meant;
  if (name.empty()) return meant;
  JobSelection selection;
  selection.id_part = Upper(name);
  selection.page = kMostCandidates + 1;
  ThrowUnlessOk(client.ForEachJob(selection, [&](const JobView& job) {
    environment.interrupt.ThrowIfRequested();
    const std::string id = Upper(job.id);
    if (!absl::StartsWith(id, selection.id_part) && !absl::EndsWith(id, selection.id_part)) return true;
    meant.exact = id == selection.id_part;
    if (meant.exact) meant.found.clear();
    meant.found.push_back(job.id);
    return !meant.exact && meant.found.size() < kMostCounted;
  }));
  return meant;
}

PickedJob Newest(const std::string& caller, const RenderClient& client) {
  JobSelection selection;
  selection.client = caller;
  selection.page = 1;
  std::string id;
  ThrowUnlessOk(client.ForEachJob(selection, [&](const JobView& job) {
    id = job.id;
    return false;
  }));
  if (id.empty()) return {kLast, absl::StrCat("there is no job of \"", caller, "\", whose last one is asked for")};
  return {id, ""};
}

}  // namespace

JobState ParseState(const std::string& text) {
  using enum JobState;
  for (const JobState state : {kQueued, kEncoding, kReady, kRendering, kDecoding, kDone, kFailed, kCancelled}) {
    if (JobStateName(state) == text) return state;
  }
  throw UsageError("--state " + text +
                   " is none of queued, encoding, ready, rendering, decoding, done, failed, cancelled");
}

JobPick ReadJobPick(const Settings& settings, const std::vector<std::string>& names) {
  JobPick pick;
  pick.names = names;
  for (const std::string& state : settings.Get(options::kFilterStates)) {
    pick.selection.states.push_back(ParseState(state));
  }
  pick.selection.text = settings.Get(options::kFilterText);
  pick.hours = settings.Get(options::kFilterHours);
  pick.everybody = settings.Get(options::kSelectAll);
  pick.caller = CallerName(settings);
  for (const std::string& name : names) CheckArgument("ID", name);
  CheckArgument("--text", pick.selection.text);
  const bool mine = settings.Get(options::kFilterMine);
  const auto given = [&](const auto& option) { return settings.OriginOf(option) == Origin::kFlag; };
  const bool chooses = mine || pick.everybody || given(options::kFilterStates) || given(options::kFilterText) ||
                       given(options::kFilterHours);
  if (mine && pick.everybody) throw UsageError("--mine and --all exclude each other");
  if (names.empty() && !chooses) {
    throw UsageError(
        "ID is missing: name jobs, or \"last\", or choose among yours with --mine, --state, --text or --hours, among "
        "everybody's with --all");
  }
  if (!names.empty() && chooses) {
    throw UsageError(
        "ids and --mine, --all, --state, --text, --hours exclude each other: name the jobs or choose them");
  }
  return pick;
}

std::vector<PickedJob> FindJobs(const JobPick& pick, const RenderClient& client, const std::vector<JobState>& usual,
                                Environment& environment) {
  std::vector<PickedJob> jobs;
  if (pick.names.empty()) {
    JobSelection selection = pick.selection;
    if (selection.states.empty()) selection.states = usual;
    if (!pick.everybody) selection.client = pick.caller;
    if (pick.hours > 0) selection.accepted_from_unix_ms = UnixMsNow() - static_cast<int64_t>(pick.hours * 3'600'000);
    ThrowUnlessOk(client.ForEachJob(selection, [&](const JobView& job) {
      environment.interrupt.ThrowIfRequested();
      jobs.push_back({job.id, ""});
      return true;
    }));
    std::reverse(jobs.begin(), jobs.end());
    if (jobs.empty()) environment.err << "no jobs" << std::endl;
    return jobs;
  }
  std::set<std::string> seen;
  for (const std::string& name : pick.names) {
    PickedJob job;
    if (name == kLast) {
      job = Newest(pick.caller, client);
    } else if (name.size() < kIdLength) {
      job = Decide(name, LookUp(name, client, environment));
    } else {
      job = {Upper(name), ""};
    }
    if (seen.insert(job.id).second) jobs.push_back(std::move(job));
  }
  return jobs;
}

void ForEachPicked(const std::vector<PickedJob>& jobs, const std::string& done, Environment& environment,
                   const std::function<void(const std::string& id)>& work,
                   const std::function<void(const std::string& id, const std::exception& error)>& failed) {
  size_t failures = 0;
  std::string first;
  for (const PickedJob& job : jobs) {
    environment.interrupt.ThrowIfRequested();
    try {
      if (!job.error.empty()) throw Error(ErrorCode::kNotFound, job.error);
      work(job.id);
    } catch (const std::exception& error) {
      if (jobs.size() == 1 || environment.interrupt.requested()) throw;
      if (failed) failed(job.id, error);
      const std::string why = error.what();
      const bool names_it = why.find(job.id) != std::string::npos;
      environment.err << "diptych: warning: " << EscapeText(names_it ? why : absl::StrCat(job.id, ": ", why))
                      << std::endl;
      if (failures++ == 0) first = error.what();
    }
  }
  if (failures == 0) return;
  throw Error(ErrorCode::kFailedPrecondition,
              absl::StrCat(failures, " of ", jobs.size(), " jobs could not be ", done, "; the first: ", first));
}

}  // namespace diptych
