// What the commands about existing jobs share.
#pragma once

#include <memory>
#include <string>

#include "coordinator/cli/command.h"
#include "coordinator/cli/command_options.h"

namespace diptych {

class RendererCommand : public Command {
 public:
  void AddArguments(CLI::App&) override {}
  void Configure(const Settings& settings) override;

 protected:
  // Connects; with --verbose it says where to.
  std::unique_ptr<RenderClient> Connect(Environment& environment) const;

  ConnectionOptions connection_;
  bool json_ = false;
  bool verbose_ = false;
};

// With the job's id as the argument.
class JobCommand : public RendererCommand {
 public:
  void AddArguments(CLI::App& app) override;
  void Configure(const Settings& settings) override;

 protected:
  std::string id_;
};

}  // namespace diptych
