// rm: forget jobs that have ended.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/question.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/order/error_json.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

class Remove final : public JobsCommand {
 public:
  void Configure(const Settings& settings) override {
    JobsCommand::Configure(settings);
    force_ = settings.Get(options::kForce);
  }

  int Run(Environment& environment) override {
    using enum JobState;
    if (pick_.everybody && !force_ && !CanAsk(environment)) {
      throw UsageError(
          "rm --all asks before it forgets jobs, and nobody can be asked here (no terminal): --force forgets those of "
          "everybody without asking, --mine your own");
    }
    const std::unique_ptr<RenderClient> client = Connect(environment);
    const Caller caller{.name = pick_.caller, .force = force_};
    ordered_json removed = ordered_json::array(), failed = ordered_json::array();
    const auto print = [&] {
      if (json_) environment.out << JsonLine({{"removed", removed}, {"failed", failed}}) << std::flush;
    };
    const std::vector<PickedJob> jobs = FindJobs(pick_, *client, {kDone, kFailed, kCancelled}, environment);
    if (pick_.everybody && !force_ && !jobs.empty() &&
        !Confirmed(absl::StrCat("forget ", jobs.size(), jobs.size() == 1 ? " job" : " jobs",
                                " of whoever they are, with their pictures?"),
                   environment)) {
      environment.err << "nothing was removed" << std::endl;
      return kExitFailed;
    }
    try {
      ForEachPicked(
          jobs, "removed", environment,
          [&](const std::string& id) {
            ThrowUnlessOk(client->Delete(id, caller));
            if (!json_) environment.out << id << " removed" << std::endl;
            removed.push_back(id);
          },
          [&](const std::string& id, const std::exception& error) {
            failed.push_back({{"id", id}, {"error", ErrorJson(error)}});
          });
    } catch (...) {
      if (!removed.empty() || !failed.empty()) print();
      throw;
    }
    print();
    return kExitDone;
  }

 private:
  bool force_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeRemove() { return std::make_unique<Remove>(); }

}  // namespace diptych
