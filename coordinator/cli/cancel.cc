// cancel: ask for the end of jobs.
#include <nlohmann/json.hpp>

#include "common/config/options.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/client/job_json.h"

namespace diptych {
namespace {

class Cancel final : public JobsCommand {
 public:
  void Configure(const Settings& settings) override {
    JobsCommand::Configure(settings);
    force_ = settings.Get(options::kForce);
  }

  int Run(Environment& environment) override {
    using enum JobState;
    const std::unique_ptr<RenderClient> client = Connect(environment);
    const Caller caller{.name = pick_.caller, .force = force_};
    ForEachPicked(
        FindJobs(pick_, *client, {kQueued, kEncoding, kReady, kRendering, kDecoding}, environment), "cancelled",
        environment, [&](const std::string& id) { Say(ValueOrThrow(client->Cancel(id, caller)), environment); },
        FailureLines(environment));
    return kExitDone;
  }

 private:
  void Say(const JobView& job, Environment& environment) const {
    const bool was_over = job.state == JobState::kDone || job.state == JobState::kFailed;
    if (json_) {
      environment.out << JsonLine(JobJson(job)) << std::flush;
    } else if (was_over) {
      environment.out << job.id << " was " << JobStateName(job.state) << " already" << std::endl;
    } else {
      environment.out << job.id << " cancelled" << std::endl;
    }
  }

  bool force_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeCancel() { return std::make_unique<Cancel>(); }

}  // namespace diptych
