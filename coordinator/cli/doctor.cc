// doctor: what is wrong here, and what to do about it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "common/error/error.h"
#include "coordinator/cli/checks.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/result_text.h"

namespace diptych {
namespace {

class Doctor final : public Command {
 public:
  void AddArguments(CLI::App&) override {}

  void Configure(const Settings& settings) override {
    connection_ = ReadConnection(settings);
    private_ = ReadPrivate(settings);
    json_ = settings.Get(options::kJson);
  }

  int Run(Environment& environment) override {
    if (private_.verbose()) environment.err << "programs " << environment.program_folder.string() << std::endl;
    std::vector<Check> checks;
    checks.push_back({true, "configuration",
                      private_.configuration + (private_.config.empty() ? ", built-in defaults" : ", valid"), ""});
    CheckPrograms(environment.program_folder, checks);
    CheckMachine(private_.threads, checks);
    if (private_.model_path.empty()) {
      checks.push_back({true, "checkpoint", "none named; --model-path DIR checks one", ""});
    } else {
      const size_t before = checks.size();
      CheckCheckpoint(private_, checks);
      const bool whole = std::all_of(checks.begin() + static_cast<ptrdiff_t>(before), checks.end(),
                                     [](const Check& check) { return check.ok; });
      if (whole) CheckMemory(private_, ReadMemoryFacts(), checks);  // else there is nothing to weigh
    }
    if (connection_.render.empty()) {
      checks.push_back({true, "renderer", "none configured; --render HOST:PORT checks one", ""});
    } else if (CheckCredentials(connection_.credentials, checks)) {
      CheckRenderer(connection_, checks);
    }
    return Print(checks, environment);
  }

 private:
  int Print(const std::vector<Check>& checks, Environment& environment) const {
    size_t problems = 0;
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Check& check : checks) {
      problems += check.ok ? 0 : 1;
      list.push_back({{"ok", check.ok}, {"what", check.what}, {"found", check.found}, {"advice", check.advice}});
      if (json_) continue;
      std::string what = check.what;
      what.resize(std::max<size_t>(what.size(), 16), ' ');
      std::string line = absl::StrCat(check.ok ? "ok       " : "PROBLEM  ", what, " ", check.found, "\n");
      if (!check.ok && !check.advice.empty())
        absl::StrAppend(&line, "         ", std::string(16, ' '), " ", check.advice, "\n");
      environment.out << Reflowed(line, environment.OutColumns());
    }
    if (json_) environment.out << JsonLine({{"ok", problems == 0}, {"checks", list}});
    environment.out << std::flush;
    if (problems == 0) return kExitDone;
    throw Error(ErrorCode::kFailedPrecondition,
                absl::StrCat(problems, problems == 1 ? " problem" : " problems", " found"));
  }

  ConnectionOptions connection_;
  PrivateOptions private_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeDoctor() { return std::make_unique<Doctor>(); }

}  // namespace diptych
