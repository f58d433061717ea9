// tokens: what the encoder would read.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "common/config/options.h"
#include "common/error/error.h"
#include "common/foreign_text/escape.h"
#include "common/prompt/chat_formatter.h"
#include "common/weights/load_tokenizer.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/order/prompt_options.h"
#include "coordinator/order/prompt_source.h"

namespace diptych {
namespace {

class Tokens final : public Command {
 public:
  void AddArguments(CLI::App& app) override {
    app.add_option("PROMPT", prompt_, "the prompt; one argument, in quotes; -: standard input");
  }

  void Configure(const Settings& settings) override {
    private_ = ReadPrivate(settings);
    parts_ = ReadPromptOptions(settings);
    settings_ = settings;
    settings.Get(options::kJson);  // accepted like everywhere; the result is JSON in any case
    if (private_.model_path.empty() && private_.text_encoder_path.empty())
      throw UsageError("--model-path DIR is missing: the tokenizer is in the checkpoint");
  }

  int Run(Environment& environment) override {
    const std::string text =
        FormatPrompt(MakePrompt(ReadPromptText(prompt_, *settings_, environment.Input()), parts_, environment.Input()));
    const std::string place = private_.TokenizerPlace().string();
    if (private_.verbose()) environment.err << "tokenizer " << place << std::endl;
    const BpeTokenizer tokenizer = LoadTokenizer(place);
    for (const std::string& line : tokenizer.warnings()) {
      environment.err << "diptych: warning: " << EscapeText(line) << std::endl;
    }
    const std::vector<int64_t> ids = tokenizer.Encode(text);
    environment.out << JsonLine({{"text", text}, {"ids", ids}}) << std::flush;
    return kExitDone;
  }

 private:
  std::optional<std::string> prompt_;
  PrivateOptions private_;
  PromptOptions parts_;
  std::optional<Settings> settings_;
};

}  // namespace

std::unique_ptr<Command> MakeTokens() { return std::make_unique<Tokens>(); }

}  // namespace diptych
