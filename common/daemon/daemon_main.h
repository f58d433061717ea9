// The main function of a daemon: command line, logger, life, exit status.
#pragma once

#include <sys/stat.h>

#include <cstdio>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/config/idle_settings.h"
#include "common/config/settings.h"
#include "common/daemon/descriptors.h"
#include "common/daemon/standard_streams.h"
#include "common/daemon/start_anew.h"
#include "common/foreign_text/foreign_text.h"
#include "common/log/log.h"

namespace diptych {

struct DaemonProgram {
  ProgramMask mask = 0;
  const char* name = "";         // "diptych-encoderd"
  const char* description = "";  // one sentence for --help
};

// Config::FromSettings and its log_level say what the command line means; `run` is the daemon's life. The exit status:
// 0 asked to end (or --help, --version), 1 failed, 2 wrong usage; the last two with one line on stderr.
template <typename Config>
int DaemonMain(const DaemonProgram& program, int argc, const char* const* argv,
               const std::function<absl::Status(const Config&, const Logger&)>& run) {
  OpenStandardStreams();
  RaiseDescriptorLimit();
  if (const std::string problem = DescriptorProblem(); !problem.empty()) {  // libraries abort without a word
    std::fprintf(stderr, "%s: %s\n", program.name, problem.c_str());
    return 1;
  }
  umask(077);  // what a daemon writes holds prompts and pictures
  const auto fail = [&](const absl::Status& status, int exit_status) {
    const std::string line = ForeignText(std::string(status.message()), kMessageBytes);
    std::fprintf(stderr, "%s: %s\n", program.name, line.c_str());
    return exit_status;
  };
  const absl::StatusOr<std::optional<Settings>> settings =
      ParseDaemonCommandLine(program.mask, program.name, program.description, argc, argv);
  if (!settings.ok()) return fail(settings.status(), 2);
  if (!settings->has_value()) return 0;
  const absl::StatusOr<Config> config = Config::FromSettings(**settings);
  if (!config.ok()) return fail(config.status(), 2);
  const auto log = MakeLogger(program.name, config->log_level);
  log->Debug(ConfigurationLine(**settings));
  for (const std::string& warning : (*settings)->warnings()) log->Warn(warning);
  for (const std::string& note : IdleSettings(**settings, program.mask)) log->Warn(note);
  const absl::Status status = run(*config, *log);
  StartAnewIfWished(status);
  return status.ok() ? 0 : fail(status, 1);
}

}  // namespace diptych
