// fetch: the pictures of jobs.
#include <map>
#include <nlohmann/json.hpp>

#include "common/config/options.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/job_follower.h"
#include "coordinator/cli/output_names.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/files.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

class Fetch final : public JobsCommand {
 public:
  void Configure(const Settings& settings) override {
    JobsCommand::Configure(settings);
    outputs_ = settings.Get(options::kOutput);
    if (pick_.names.size() == 1 && !InFolder()) NameOutputs(outputs_, 1, /*count_given=*/true);
  }

  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = Connect(environment);
    CallStop stop;
    const Interrupt::Reaction reaction(environment.interrupt, [&] { stop.Stop(); });
    const std::vector<PickedJob> jobs = FindJobs(pick_, *client, {JobView::State::kDone}, environment);
    if (jobs.empty()) return kExitDone;
    const std::vector<fs::path> outputs = OutputsOf(jobs);
    for (const fs::path& output : outputs) PrepareToWritePicture(output);
    std::map<std::string, size_t> index_of;
    for (size_t i = 0; i < jobs.size(); ++i) index_of[jobs[i].id] = i;
    ForEachPicked(
        jobs, "fetched", environment,
        [&](const std::string& id) {
          const size_t index = index_of.at(id);
          Get(id, outputs[index], *client, {.number = index + 1, .count = jobs.size()}, stop, environment);
        },
        FailureLines(environment));
    return kExitDone;
  }

 private:
  // A folder that is there, or a name that can be none but a folder's: each picture is called as its job.
  bool InFolder() const {
    std::error_code ignored;
    return outputs_.size() == 1 && (outputs_[0].ends_with('/') || fs::is_directory(outputs_[0], ignored));
  }

  std::vector<fs::path> OutputsOf(const std::vector<PickedJob>& jobs) const {
    if (!InFolder()) return NameOutputs(outputs_, static_cast<int64_t>(jobs.size()), /*count_given=*/true);
    std::vector<fs::path> outputs;
    for (const PickedJob& job : jobs) outputs.push_back(fs::path(outputs_[0]) / (job.id + ".png"));
    return outputs;
  }

  void Get(const std::string& id, const fs::path& output, const RenderClient& client, const SeriesPlace& place,
           CallStop& stop, Environment& environment) const {
    WatchResult result;
    {
      ProgressView view(environment.Screen(), place);
      const FollowOptions options{.want_picture = true, .patience = connection_.timeout};
      result = FollowJob(client, id, options, view, environment.interrupt, &stop);
    }
    ThrowUnlessDone(result.job);
    WriteFileAtomically(output, result.png);
    if (json_) {
      environment.out << JsonLine({{"path", output.string()}, {"job", JobJson(result.job)}}) << std::flush;
    } else {
      environment.out << output.string() << std::endl;
    }
  }

  std::vector<std::string> outputs_;
};

}  // namespace

std::unique_ptr<Command> MakeFetch() { return std::make_unique<Fetch>(); }

}  // namespace diptych
