// submit: into the queue and back.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "common/error/error.h"
#include "common/foreign_text/escape.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/command_plan.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/room_wait.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

class Submit final : public Command {
 public:
  void AddArguments(CLI::App& app) override {
    app.add_option("PROMPT", prompt_, "what the picture shows; one argument, in quotes; -: standard input");
  }

  void Configure(const Settings& settings) override {
    connection_ = ReadConnection(settings);
    settings_ = settings;
    json_ = settings.Get(options::kJson);
    verbose_ = settings.Get(options::kLogLevel) == "debug";
  }

  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = ConnectToRenderer(connection_);
    PicturePlan plan = ReadCommandPlan(prompt_, *settings_, environment);
    for (const std::string& note : plan.notes) Warn(note, environment);
    for (const std::string& note : CompletePlan(ValueOrThrow(client->Describe()), plan)) {
      Warn(note, environment);
    }
    NoteFits(plan, environment);
    const auto names_output = [](const PlannedPrompt& prompt) { return !prompt.outputs.empty(); };
    if (absl::c_any_of(plan.prompts, names_output)) Warn("submit writes no picture: output has no effect", environment);
    if (verbose_) {
      environment.err << "renderer " << client->address() << ", seed " << plan.pictures[0].seed << std::endl;
    }
    ordered_json all = ordered_json::array();
    const std::string failure = SubmitAll(plan, *client, all, environment);
    if (json_) environment.out << JsonLine(plan.is_list || all.empty() ? all : all[0]) << std::flush;
    environment.interrupt.ThrowIfRequested();
    if (!failure.empty()) throw Error(ErrorCode::kUnavailable, failure);
    return kExitDone;
  }

 private:
  static void Warn(const std::string& text, Environment& environment) {
    environment.err << "diptych: warning: " << EscapeText(text) << std::endl;
  }

  // The renderer keeps what it paints.
  static void NoteFits(const PicturePlan& plan, Environment& environment) {
    for (const PlannedPrompt& prompt : plan.prompts) {
      if (!prompt.order.fit) continue;
      const PictureFit& fit = *prompt.order.fit;
      Warn(absl::StrCat(prompt.order.request.width, "x", prompt.order.request.height,
                        " is painted; diptych fetch ID --fit ", FitModeName(fit.mode), " --size ", fit.width, "x",
                        fit.height, " makes a file of the size asked for"),
           environment);
      return;
    }
  }

  // Prints ids as they come and fills `all`. A job that is refused is so alone; returns what to say of all failures,
  // empty if there are none. Ends early when the user interrupts, and when nobody answers.
  std::string SubmitAll(const PicturePlan& plan, const RenderClient& client, ordered_json& all,
                        Environment& environment) const {
    RoomWait room(environment);
    const size_t count = plan.pictures.size();
    size_t failed = 0;
    std::string first_error;
    for (size_t i = 0; i < count && !environment.interrupt.requested(); ++i) {
      const absl::StatusOr<Submission> answer = room.Submit(client, plan.Request(i));
      if (environment.interrupt.requested() && !answer.ok()) break;
      if (answer.ok()) {
        if (!json_) environment.out << answer->id << std::endl;
        all.push_back(Report(plan, i, *answer));
        continue;
      }
      const std::string error(answer.status().message());
      if (count == 1) ThrowUnlessOk(answer.status());
      if (IsOutOfReach(answer.status())) {
        return absl::StrCat(all.size() - failed, " of ", count, " jobs were submitted, then: ", error);
      }
      Warn(absl::StrCat(plan.Label(i), ": not submitted: ", error), environment);
      all.push_back({{"prompt", plan.PromptText(i)}, {"seed", plan.pictures[i].seed}, {"error", error}});
      if (failed++ == 0) first_error = error;
    }
    if (failed == 0) return "";
    return absl::StrCat(failed, " of ", count, " jobs were not submitted; the first: ", first_error);
  }

  static ordered_json Report(const PicturePlan& plan, size_t index, const Submission& submission) {
    return {{"id", submission.id},
            {"prompt", plan.PromptText(index)},
            {"seed", plan.pictures[index].seed},
            {"width", plan.OrderOf(index).request.width},
            {"height", plan.OrderOf(index).request.height},
            {"jobs_ahead", submission.jobs_ahead},
            {"wait_ms", submission.wait_ms ? ordered_json(*submission.wait_ms) : ordered_json(nullptr)},
            {"is_repeat", submission.is_repeat}};
  }

  std::optional<std::string> prompt_;
  ConnectionOptions connection_;
  std::optional<Settings> settings_;
  bool json_ = false;
  bool verbose_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeSubmit() { return std::make_unique<Submit>(); }

}  // namespace diptych
