// submit: into the queue and back.
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/config/options.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/picture_order.h"
#include "coordinator/cli/result_text.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

class Submit final : public Command {
 public:
  void AddArguments(CLI::App& app) override {
    app.add_option("PROMPT", prompt_, "what the picture shows; one argument, in quotes");
  }

  void Configure(const Settings& settings) override {
    connection_ = ReadConnection(settings);
    picture_ = ReadPictureOptions(settings);
    json_ = settings.Get(options::kJson);
    verbose_ = settings.Get(options::kLogLevel) == "debug";
  }

  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = ConnectToRenderer(connection_);
    const PictureOrder order = MakeOrder(prompt_, picture_, RandomSeed);
    for (const std::string& note : order.notes) environment.err << "diptych: warning: " << note << std::endl;
    if (verbose_) environment.err << "renderer " << client->address() << ", seed " << order.request.seed << std::endl;
    ordered_json all = ordered_json::array();
    for (int64_t i = 0; i < picture_.count; ++i) {
      environment.interrupt.ThrowIfRequested();
      PictureRequest request = order.request;
      request.seed += static_cast<uint64_t>(i);
      request.idempotency_key = KeyOf(order, static_cast<size_t>(i), static_cast<size_t>(picture_.count));
      const Submission submission = ValueOrThrow(client->Submit(request));
      if (!json_) environment.out << submission.id << std::endl;
      all.push_back({{"id", submission.id},
                     {"seed", request.seed},
                     {"jobs_ahead", submission.jobs_ahead},
                     {"wait_ms", submission.wait_ms ? ordered_json(*submission.wait_ms) : ordered_json(nullptr)},
                     {"is_repeat", submission.is_repeat}});
    }
    if (json_) environment.out << JsonLine(picture_.count == 1 ? all[0] : all) << std::flush;
    return kExitDone;
  }

 private:
  std::optional<std::string> prompt_;
  ConnectionOptions connection_;
  PictureOptions picture_;
  bool json_ = false;
  bool verbose_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeSubmit() { return std::make_unique<Submit>(); }

}  // namespace diptych
