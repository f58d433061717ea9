// jobs: what is queued, at work and done.
#include <unistd.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/cli/job_command.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/terminal.h"

namespace diptych {
namespace {

constexpr size_t kMostEnded = 1000;  // of the jobs that have ended; the others are all shown

// Wide where standard output is no terminal, so that a file gets whole prompts.
size_t Columns() {
  const size_t columns = TerminalColumns(STDOUT_FILENO);
  return columns > 0 ? columns : 240;
}

class Jobs final : public RendererCommand {
 public:
  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = Connect(environment);
    std::map<std::string, JobView, std::greater<>> by_id;  // ids rise with time
    size_t ended = 0;
    // In this order: a job that ends between the two questions is in both answers, and the later one counts.
    ThrowUnlessOk(client->ForEachJob(JobGroup::kActive, [&](const JobView& job) {
      environment.interrupt.ThrowIfRequested();
      by_id.emplace(job.id, job);
      return true;
    }));
    ThrowUnlessOk(client->ForEachJob(JobGroup::kEnded, [&](const JobView& job) {
      environment.interrupt.ThrowIfRequested();
      if (ended++ < kMostEnded) by_id.insert_or_assign(job.id, job);
      return true;
    }));
    std::vector<JobView> jobs;
    for (auto& [id, job] : by_id) jobs.push_back(std::move(job));
    if (json_) {
      nlohmann::ordered_json all = nlohmann::ordered_json::array();
      for (const JobView& job : jobs) all.push_back(JobJson(job));
      environment.out << JsonLine(all) << std::flush;
    } else {
      environment.out << JobTable(jobs, Columns()) << std::flush;
    }
    if (ended > kMostEnded) {
      environment.err << ended - kMostEnded << " older jobs that have ended are not shown" << std::endl;
    }
    return kExitDone;
  }
};

}  // namespace

std::unique_ptr<Command> MakeJobs() { return std::make_unique<Jobs>(); }

}  // namespace diptych
