// pause, resume: let the renderer's queue rest, and go on.
#include <nlohmann/json.hpp>

#include "common/config/options.h"
#include "coordinator/cli/caller_name.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/wait_text.h"
#include "coordinator/client/job_json.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

class QueueCommand : public RendererCommand {
 public:
  void Configure(const Settings& settings) override {
    RendererCommand::Configure(settings);
    caller_.name = CallerName(settings);
  }

 protected:
  Caller caller_;
};

class PauseQueue final : public QueueCommand {
 public:
  int Run(Environment& environment) override {
    const PauseOutcome outcome = ValueOrThrow(Connect(environment)->Pause(caller_));
    if (json_) {
      environment.out << JsonLine({{"pause", PauseJson(outcome.pause)}, {"was_paused", outcome.was_paused}})
                      << std::flush;
    } else if (outcome.was_paused) {
      environment.out << "the queue was " << PauseText(outcome.pause, UnixMsNow()) << " already" << std::endl;
    } else {
      environment.out << "the queue is paused; what is in work is finished, and diptych resume goes on" << std::endl;
    }
    return kExitDone;
  }
};

class ResumeQueue final : public QueueCommand {
 public:
  void Configure(const Settings& settings) override {
    QueueCommand::Configure(settings);
    caller_.force = settings.Get(options::kForce);
  }

  int Run(Environment& environment) override {
    const std::optional<QueuePause> ended = ValueOrThrow(Connect(environment)->Resume(caller_));
    if (json_) {
      environment.out << JsonLine({{"pause", nullptr}, {"was_paused", ended.has_value()}}) << std::flush;
    } else if (ended) {
      environment.out << "the queue goes on; it was " << PauseText(*ended, UnixMsNow()) << std::endl;
    } else {
      environment.out << "the queue was not paused" << std::endl;
    }
    return kExitDone;
  }
};

}  // namespace

std::unique_ptr<Command> MakePause() { return std::make_unique<PauseQueue>(); }
std::unique_ptr<Command> MakeResume() { return std::make_unique<ResumeQueue>(); }

}  // namespace diptych
