// rm: forget jobs that have ended.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coordinator/cli/job_command.h"
#include "coordinator/cli/result_text.h"

namespace diptych {
namespace {

class Remove final : public RendererCommand {
 public:
  void AddArguments(CLI::App& app) override {
    app.add_option("ID", ids_, "the jobs, as submit and jobs print them")->required();
  }

  void Configure(const Settings& settings) override {
    RendererCommand::Configure(settings);
    for (const std::string& id : ids_) CheckArgument("ID", id);
  }

  // Stops at the first that cannot be forgotten; those before it are.
  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = Connect(environment);
    nlohmann::ordered_json removed = nlohmann::ordered_json::array();
    for (const std::string& id : ids_) {
      ThrowUnlessOk(client->Delete(id));
      if (!json_) environment.out << id << " removed" << std::endl;
      removed.push_back(id);
    }
    if (json_) environment.out << JsonLine({{"removed", removed}}) << std::flush;
    return kExitDone;
  }

 private:
  std::vector<std::string> ids_;
};

}  // namespace

std::unique_ptr<Command> MakeRemove() { return std::make_unique<Remove>(); }

}  // namespace diptych
