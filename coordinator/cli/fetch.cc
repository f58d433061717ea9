// fetch: the picture of a job.
#include <nlohmann/json.hpp>

#include "common/config/options.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/job_follower.h"
#include "coordinator/cli/output_names.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/files.h"

namespace diptych {
namespace {

class Fetch final : public JobCommand {
 public:
  void Configure(const Settings& settings) override {
    JobCommand::Configure(settings);
    output_ = NameOutputs(settings.Get(options::kOutput), 1, /*count_given=*/true)[0];
  }

  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = Connect(environment);
    PrepareToWritePicture(output_);
    CallStop stop;
    const Interrupt::Reaction reaction(environment.interrupt, [&] { stop.Stop(); });
    WatchResult result;
    {
      ProgressView view(environment.err, environment.err_columns, "");
      const FollowOptions options{.want_picture = true, .patience = connection_.timeout};
      result = FollowJob(*client, id_, options, view, environment.interrupt, &stop);
    }
    ThrowUnlessDone(result.job);
    WriteFileAtomically(output_, result.png);
    if (json_) {
      environment.out << JsonLine({{"path", output_.string()}, {"job", JobJson(result.job)}}) << std::flush;
    } else {
      environment.out << output_.string() << std::endl;
    }
    return kExitDone;
  }

 private:
  std::filesystem::path output_;
};

}  // namespace

std::unique_ptr<Command> MakeFetch() { return std::make_unique<Fetch>(); }

}  // namespace diptych
