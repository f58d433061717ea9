// watch: follow jobs that somebody submitted.
#include <nlohmann/json.hpp>

#include "common/config/options.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/job_follower.h"
#include "coordinator/cli/output_names.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/client/job_json.h"

namespace diptych {
namespace {

class Watch final : public JobsCommand {
 public:
  void Configure(const Settings& settings) override {
    JobsCommand::Configure(settings);
    preview_ = settings.Get(options::kPreview);
    CheckPreviewName(preview_);
  }

  int Run(Environment& environment) override {
    using enum JobState;
    const std::unique_ptr<RenderClient> client = Connect(environment);
    CallStop stop;
    const Interrupt::Reaction reaction(environment.interrupt, [&] { stop.Stop(); });
    const std::vector<PickedJob> jobs =
        FindJobs(pick_, *client, {kQueued, kEncoding, kReady, kRendering, kDecoding}, environment);
    SeriesPlace place{.number = 0, .count = jobs.size()};
    ForEachPicked(jobs, "watched to a picture", environment,
                  [&](const std::string& id) {
                    ++place.number;
                    Follow(id, *client, place, stop, environment);
                  },
                  {});
    return kExitDone;
  }

 private:
  void Follow(const std::string& id, const RenderClient& client, const SeriesPlace& place, CallStop& stop,
              Environment& environment) const {
    JobView job;
    {
      ProgressView view(environment.Screen(), place);
      const FollowOptions options{.patience = connection_.timeout, .preview = preview_, .warn_shortened = true};
      job = FollowJob(client, id, options, view, environment.interrupt, &stop).job;
    }
    if (json_) environment.out << JsonLine(JobJson(job)) << std::flush;
    ThrowUnlessDone(job);
    if (!json_) {
      environment.out << job.id << " done\n"
                      << Wrapped(TimingsLine(job.timings), environment.OutColumns(), "  ") << std::endl;
    }
  }

  std::string preview_;
};

}  // namespace

std::unique_ptr<Command> MakeWatch() { return std::make_unique<Watch>(); }

}  // namespace diptych
