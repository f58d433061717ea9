// cancel: ask for the end of a job.
#include <nlohmann/json.hpp>

#include "coordinator/cli/job_command.h"
#include "coordinator/cli/result_text.h"

namespace diptych {
namespace {

class Cancel final : public JobCommand {
 public:
  int Run(Environment& environment) override {
    const JobView job = ValueOrThrow(Connect(environment)->Cancel(id_));
    const bool was_over = job.state == JobView::State::kDone || job.state == JobView::State::kFailed;
    if (json_) {
      environment.out << JsonLine(JobJson(job)) << std::flush;
    } else if (was_over) {
      environment.out << job.id << " was " << JobStateText(job.state) << " already" << std::endl;
    } else {
      environment.out << job.id << " cancelled" << std::endl;
    }
    return kExitDone;
  }
};

}  // namespace

std::unique_ptr<Command> MakeCancel() { return std::make_unique<Cancel>(); }

}  // namespace diptych
