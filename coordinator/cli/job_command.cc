#include "coordinator/cli/job_command.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "common/config/options.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/order/error_json.h"

namespace diptych {

void RendererCommand::Configure(const Settings& settings) {
  connection_ = ReadConnection(settings);
  json_ = settings.Get(options::kJson);
  verbose_ = settings.Get(options::kLogLevel) == "debug";
}

std::unique_ptr<RenderClient> RendererCommand::Connect(Environment& environment) const {
  std::unique_ptr<RenderClient> client = ConnectToRenderer(connection_);
  if (verbose_) environment.err << "renderer " << client->address() << std::endl;
  return client;
}

void JobsCommand::AddArguments(CLI::App& app) {
  app.add_option("ID", names_,
                 "the jobs, as submit and jobs print them; the beginning or end of an id that fits one alone; \"last\" "
                 "for your newest");
}

void JobsCommand::Configure(const Settings& settings) {
  RendererCommand::Configure(settings);
  pick_ = ReadJobPick(settings, names_);
}

std::function<void(const std::string& id, const std::exception& error)> JobsCommand::FailureLines(
    Environment& environment) const {
  if (!json_) return {};
  return [&environment](const std::string& id, const std::exception& error) {
    environment.out << JsonLine({{"id", id}, {"error", ErrorJson(error)}}) << std::flush;
  };
}

}  // namespace diptych
