#include "coordinator/cli/job_command.h"

#include <CLI/CLI.hpp>

#include "common/config/options.h"

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

void JobCommand::AddArguments(CLI::App& app) {
  app.add_option("ID", id_, "the job, as submit and jobs print it")->required();
}

void JobCommand::Configure(const Settings& settings) {
  RendererCommand::Configure(settings);
  CheckArgument("ID", id_);
}

}  // namespace diptych
