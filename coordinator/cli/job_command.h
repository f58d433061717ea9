// What the commands about existing jobs share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/cli/command.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/job_pick.h"

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

// With jobs as arguments, or flags that choose them.
class JobsCommand : public RendererCommand {
 public:
  void AddArguments(CLI::App& app) override;
  void Configure(const Settings& settings) override;

 protected:
  // A line {"id": ..., "error": {...}} for a job of several that failed, where JSON is wanted.
  std::function<void(const std::string& id, const std::exception& error)> FailureLines(Environment& environment) const;

  JobPick pick_;

 private:
  std::vector<std::string> names_;
};

}  // namespace diptych
