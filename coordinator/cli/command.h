// A command of the program, and the table of all of them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/config/option.h"
#include "common/config/settings.h"
#include "common/error/error.h"
#include "common/error/status.h"
#include "coordinator/cli/environment.h"
#include "coordinator/order/wrong_wish.h"

namespace CLI {
class App;
}

namespace diptych {

enum ExitStatus : int { kExitDone = 0, kExitFailed = 1, kExitUsage = 2, kExitInterrupted = 130 };

// A wish that a command line alone can spell wrong. It ends with exit status 2, as every WrongWish.
struct UsageError : WrongWish {
  using WrongWish::WrongWish;
};

// One run of one command: AddArguments, then (the line is parsed) Configure, then Run.
class Command {
 public:
  virtual ~Command() = default;

  // Declares what is not in the option table: the positional arguments.
  virtual void AddArguments(CLI::App& app) = 0;

  // Turns settings into the command's own configuration: reads every key that the command takes. Throws WrongWish.
  virtual void Configure(const Settings& settings) = 0;

  // Does the work and returns the exit status. Throws WrongWish, and Error when the work failed.
  virtual int Run(Environment& environment) = 0;
};

struct CommandEntry {
  std::string_view name;
  std::string_view arguments;    // as the overview shows them: "PROMPT"
  std::string_view summary;      // one line
  std::string_view description;  // for the command's own help: one paragraph
  std::string_view examples;     // lines of their own, may be empty
  ProgramMask options;           // the groups of the option table that it takes
  std::unique_ptr<Command> (*make)();
};

// What is meant here by a command of llama.cpp, stable-diffusion.cpp, ComfyUI, docker or git: "; a picture is made by
// diptych generate". Empty: nothing that we know.
std::string ForeignCommandAdvice(const std::string& name);

// In the order of the help.
std::span<const CommandEntry> CommandTable();

std::unique_ptr<Command> MakeGenerate();
std::unique_ptr<Command> MakeSubmit();
std::unique_ptr<Command> MakeJobs();
std::unique_ptr<Command> MakeWatch();
std::unique_ptr<Command> MakeFetch();
std::unique_ptr<Command> MakeCancel();
std::unique_ptr<Command> MakeRemove();
std::unique_ptr<Command> MakePause();
std::unique_ptr<Command> MakeResume();
std::unique_ptr<Command> MakeNodes();
std::unique_ptr<Command> MakeDoctor();
std::unique_ptr<Command> MakeTokens();
std::unique_ptr<Command> MakeModels();

}  // namespace diptych
