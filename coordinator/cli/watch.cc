// watch: follow a job that somebody submitted.
#include <nlohmann/json.hpp>

#include "common/config/options.h"
#include "common/error/error.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/job_follower.h"
#include "coordinator/cli/output_names.h"
#include "coordinator/cli/result_text.h"

namespace diptych {
namespace {

class Watch final : public JobCommand {
 public:
  void Configure(const Settings& settings) override {
    JobCommand::Configure(settings);
    preview_ = settings.Get(options::kPreview);
    CheckPreviewName(preview_);
  }

  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = Connect(environment);
    CallStop stop;
    const Interrupt::Reaction reaction(environment.interrupt, [&] { stop.Stop(); });
    JobView job;
    {
      ProgressView view(environment.err, environment.err_columns, "");
      job = FollowJob(*client, id_, {.patience = connection_.timeout, .preview = preview_}, view, environment.interrupt,
                      &stop)
                .job;
    }
    for (const std::string& line : ShortenedPrompts(job)) environment.err << "diptych: warning: " << line << std::endl;
    if (json_) environment.out << JsonLine(JobJson(job)) << std::flush;
    ThrowUnlessDone(job);
    if (!json_) environment.out << job.id << " done\n  " << TimingsLine(job.timings) << std::endl;
    return kExitDone;
  }

 private:
  std::string preview_;
};

}  // namespace

std::unique_ptr<Command> MakeWatch() { return std::make_unique<Watch>(); }

}  // namespace diptych
