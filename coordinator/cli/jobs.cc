// jobs: what is queued, at work and done.
#include <sys/ioctl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "coordinator/cli/job_command.h"
#include "coordinator/cli/result_text.h"

namespace diptych {
namespace {

constexpr int32_t kMostJobs = 1000;

// Of the terminal on standard output; wide when there is none, so that a file gets whole prompts.
size_t Columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 240;
}

class Jobs final : public RendererCommand {
 public:
  int Run(Environment& environment) override {
    const std::vector<JobView> jobs = ValueOrThrow(Connect(environment)->List(kMostJobs));
    if (json_) {
      nlohmann::ordered_json all = nlohmann::ordered_json::array();
      for (const JobView& job : jobs) all.push_back(JobJson(job));
      environment.out << JsonLine(all) << std::flush;
    } else {
      environment.out << JobTable(jobs, Columns()) << std::flush;
    }
    return kExitDone;
  }
};

}  // namespace

std::unique_ptr<Command> MakeJobs() { return std::make_unique<Jobs>(); }

}  // namespace diptych
