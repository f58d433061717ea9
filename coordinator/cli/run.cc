#include "coordinator/cli/run.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <streambuf>

#include "absl/strings/str_cat.h"
#include "common/config/help_text.h"
#include "common/config/misplaced_value.h"
#include "common/config/options.h"
#include "common/config/settings.h"
#include "common/config/unknown_name.h"
#include "common/error/error.h"
#include "common/foreign_text/escape.h"
#include "common/version/version.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/shown_text.h"
#include "coordinator/order/error_json.h"
#include "coordinator/order/wrong_wish.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

std::string Overview() {
  std::string text =
      "Diptych: one picture made on two machines. This is the command line; diptych-encoderd and diptych-renderd do "
      "the work.\n\n"
      "Usage: diptych COMMAND [arguments] [flags]\n\nCommands:\n";
  for (const CommandEntry& entry : CommandTable()) {
    std::string left = absl::StrCat("  ", std::string(entry.name), " ", std::string(entry.arguments));
    left.resize(std::max<size_t>(left.size(), 20), ' ');
    absl::StrAppend(&text, left, " ", std::string(entry.summary), "\n");
  }
  absl::StrAppend(
      &text,
      "\nFirst steps:\n"
      "  diptych generate \"a red circle\" --model-path models/demo --output picture.png\n"
      "  diptych generate \"a red circle\" --render 127.0.0.1:7872 --output picture.png\n"
      "\ndiptych COMMAND --help shows the flags of a command; --version shows the version.\n"
      "Exit status: 0 done, 1 the work failed, 2 wrong usage, 130 interrupted (the job is cancelled first).\n");
  return text;
}

const CommandEntry& FindCommand(const std::string& name) {
  std::vector<std::string> names;
  for (const CommandEntry& entry : CommandTable()) {
    if (entry.name == name) return entry;
    names.emplace_back(entry.name);
  }
  const std::string meant = ForeignCommandAdvice(name);
  const std::optional<std::string> nearest = meant.empty() ? NearestKey(name, names) : std::nullopt;
  throw UsageError(absl::StrCat("there is no command \"", name, "\"", meant,
                                nearest ? absl::StrCat("; did you mean ", *nearest, "?") : "",
                                " (diptych --help lists the commands)"));
}

// Swallows what is written.
class Nowhere final : public std::streambuf {
  int overflow(int c) override { return c; }
};

// The same with nothing said beside results. The error line is not the command's.
int RunQuietly(Command& command, const Environment& environment) {
  Nowhere nowhere;
  std::ostream err(&nowhere);
  Environment quiet{.out = environment.out,
                    .err = err,
                    .err_columns = {},
                    .interrupt = environment.interrupt,
                    .program_folder = environment.program_folder,
                    .in = environment.in,
                    .out_columns = environment.out_columns};
  return command.Run(quiet);
}

// Before the line is parsed: its mistakes are told in the same way.
bool WantsJson(const std::vector<std::string>& arguments) {
  const char* const wish = std::getenv("DIPTYCH_JSON");
  if (wish != nullptr && (wish == std::string("true") || wish == std::string("1"))) return true;
  return std::any_of(arguments.begin(), arguments.end(),
                     [](const std::string& argument) { return argument == "--json" || argument == "--json=true"; });
}

int RunCommand(const CommandEntry& entry, const std::vector<std::string>& arguments, Environment& environment) {
  CLI::App app(std::string(entry.description), absl::StrCat("diptych ", std::string(entry.name)));
  app.allow_extras();
  if (!entry.examples.empty()) app.footer(absl::StrCat("Examples:\n", std::string(entry.examples)));
  const std::unique_ptr<Command> command = entry.make();
  command->AddArguments(app);
  SettingsLoader loader(entry.options);
  loader.AddFlags(app);
  if (const auto refusal = ForeignShortFlag(app, arguments)) throw UsageError(*refusal);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::CallForHelp&) {
    const size_t columns = environment.OutColumns();
    environment.out << HelpText(app, columns == 0 ? kHelpColumns : columns) << std::flush;
    return kExitDone;
  } catch (const CLI::ParseError& error) {
    throw UsageError(absl::StrCat(error.what(), " (diptych ", std::string(entry.name), " --help)"));
  }
  if (const auto refusal = MisplacedValue(app, arguments)) throw UsageError(*refusal);
  const bool takes_prompt = app.get_option_no_throw("PROMPT") != nullptr;
  for (const std::string& extra : app.remaining()) {
    if (takes_prompt && (extra == "-p" || extra == "--prompt" || extra.rfind("--prompt=", 0) == 0)) {
      throw UsageError("the prompt has no flag: it is an argument, in quotes");
    }
  }
  if (const auto refusal = UnplacedArgument(app, takes_prompt ? "; a prompt of several words needs quotes" : "")) {
    throw UsageError(*refusal);
  }
  absl::StatusOr<Settings> settings = loader.Load();
  if (!settings.ok()) {
    throw UsageError(std::string(settings.status().message()));
  }
  const bool quiet = settings->Get(options::kQuiet);
  for (const std::string& warning : settings->warnings()) {
    if (quiet) break;
    environment.err << "diptych: warning: " << EscapeText(warning) << std::endl;
  }
  if (!quiet && settings->Get(options::kLogLevel) == "debug")
    environment.err << ConfigurationLine(*settings) << std::endl;
  command->Configure(*settings);
  return quiet ? RunQuietly(*command, environment) : command->Run(environment);
}

int Dispatch(const std::vector<std::string>& arguments, Environment& environment) {
  if (arguments.empty()) throw UsageError("a command is missing (diptych --help lists the commands)");
  const std::string& first = arguments[0];
  if (first == "--help" || first == "-h" || first == "help") {
    if (arguments.size() > 1 && first == "help") return RunCommand(FindCommand(arguments[1]), {"--help"}, environment);
    environment.out << Reflowed(Overview(), environment.OutColumns()) << std::flush;
    return kExitDone;
  }
  if (first == "--version") {
    environment.out << "diptych " << kVersion << std::endl;
    return kExitDone;
  }
  if (first[0] == '-')
    throw UsageError(absl::StrCat("the command comes first, then ", first, " (diptych --help lists the commands)"));
  return RunCommand(FindCommand(first), {arguments.begin() + 1, arguments.end()}, environment);
}

}  // namespace

int RunDiptych(const std::vector<std::string>& arguments, Environment& plain) {
  ShownText shown_out(plain.out), shown_err(plain.err);
  std::ostream out(&shown_out), err(&shown_err);
  Environment environment{.out = out,
                          .err = err,
                          .err_columns = plain.err_columns,
                          .interrupt = plain.interrupt,
                          .program_folder = plain.program_folder,
                          .in = plain.in,
                          .err_redraws = plain.err_redraws,
                          .out_columns = plain.out_columns};
  const bool json = WantsJson(arguments);
  const auto say_json = [&](int status, ordered_json error) {
    error["exit_status"] = status;
    environment.err << JsonLine({{"error", std::move(error)}}) << std::flush;
    return status;
  };
  const auto fail = [&](int status, const std::exception& error) {
    if (json) return say_json(status, ErrorJson(error));
    environment.err << "diptych: error: " << EscapeText(error.what()) << std::endl;
    return status;
  };
  try {
    const int status = Dispatch(arguments, environment);
    if (status == kExitDone && !environment.out.flush()) {
      return fail(kExitFailed, Error(ErrorCode::kUnavailable, "the results could not be written to standard output"));
    }
    return status;
  } catch (const WrongWish& error) {  // said by this command line
    return fail(kExitUsage, error);
  } catch (const std::exception& error) {
    if (environment.interrupt.requested()) {
      if (json) return say_json(kExitInterrupted, ErrorJson(ErrorCode::kCancelled, "interrupted"));
      environment.err << "diptych: interrupted" << std::endl;
      return kExitInterrupted;
    }
    return fail(kExitFailed, error);
  }
}

}  // namespace diptych
