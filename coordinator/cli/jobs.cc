// jobs: what is queued, at work and done.
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "coordinator/cli/caller_name.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/job_table.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/wait_text.h"
#include "coordinator/client/job_json.h"
#include "coordinator/order/prompt_options.h"

namespace diptych {
namespace {

// Of one list in memory, whatever a renderer sends.
constexpr size_t kMostHeld = 200'000'000;

// Wide where standard output is no terminal, so that a file gets whole prompts.
size_t Columns(const Environment& environment) {
  const size_t columns = environment.OutColumns();
  return columns > 0 ? columns : 240;
}

class Jobs final : public RendererCommand {
 public:
  void Configure(const Settings& settings) override {
    RendererCommand::Configure(settings);
    for (const std::string& state : settings.Get(options::kFilterStates)) {
      selection_.states.push_back(ParseState(state));
    }
    // In a file it says who the user is, not whose jobs to show.
    if (settings.OriginOf(options::kClient) == Origin::kFlag) selection_.client = settings.Get(options::kClient);
    if (settings.Get(options::kFilterMine)) selection_.client = CallerName(settings);
    selection_.text = settings.Get(options::kFilterText);
    CheckArgument("--client", selection_.client);
    CheckArgument("--text", selection_.text);
    hours_ = settings.Get(options::kFilterHours);
    most_ended_ = static_cast<size_t>(settings.Get(options::kFilterLimit));
  }

  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = Connect(environment);
    JobSelection selection = selection_;
    if (hours_ > 0) selection.accepted_from_unix_ms = UnixMsNow() - static_cast<int64_t>(hours_ * 3'600'000);
    std::map<std::string, JobView, std::greater<>> by_id;  // ids rise with time
    size_t ended = 0;
    // In this order: a job that ends between the two questions is in both answers, and the later one counts.
    selection.group = JobGroup::kActive;
    size_t held = 0;
    const auto hold = [&](const JobView& job) {
      held += sizeof(JobView) + job.prompt.size() + job.error.size() + job.detail.size();
      if (held <= kMostHeld) return;
      throw Error(ErrorCode::kResourceExhausted,
                  absl::StrCat("the list is longer than ", kMostHeld / 1'000'000,
                               " MB; --limit, --state, --client, --text and --hours make it shorter"));
    };
    ThrowUnlessOk(client->ForEachJob(selection, [&](const JobView& job) {
      environment.interrupt.ThrowIfRequested();
      hold(job);
      by_id.emplace(job.id, job);
      return true;
    }));
    selection.group = JobGroup::kEnded;
    ThrowUnlessOk(client->ForEachJob(selection, [&](const JobView& job) {
      environment.interrupt.ThrowIfRequested();
      if (ended++ < most_ended_) {
        hold(job);
        by_id.insert_or_assign(job.id, job);
      }
      return ended <= most_ended_;  // one more shows that there are more
    }));
    std::vector<JobView> jobs;
    for (auto& [id, job] : by_id) jobs.push_back(std::move(job));
    AddPlaces(*client, jobs);
    if (json_) {
      nlohmann::ordered_json all = nlohmann::ordered_json::array();
      for (const JobView& job : jobs) all.push_back(JobJson(job));
      environment.out << JsonLine(all) << std::flush;
    } else {
      if (!jobs.empty()) environment.out << JobTable(jobs, Columns(environment), UnixMsNow()) << std::flush;
      if (jobs.empty()) environment.err << "no jobs" << std::endl;
    }
    if (ended > most_ended_) {
      environment.err << "older jobs that have ended are not shown; --limit shows more" << std::endl;
    }
    return kExitDone;
  }

 private:
  // The next to be begun say when, and why they wait; a list does not carry it, and of far ones it is a guess.
  static void AddPlaces(const RenderClient& client, std::vector<JobView>& jobs) {
    constexpr int kMost = 20;
    int asked = 0;
    for (auto job = jobs.rbegin(); job != jobs.rend() && asked < kMost; ++job) {
      if (job->Ended()) continue;
      ++asked;
      if (const absl::StatusOr<JobView> now = client.Get(job->id); now.ok()) *job = *now;
    }
  }

  JobSelection selection_;
  double hours_ = 0;
  size_t most_ended_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakeJobs() { return std::make_unique<Jobs>(); }

}  // namespace diptych
