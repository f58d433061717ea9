#include "coordinator/cli/embedding_command.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/conditioning/row_limit.h"
#include "common/model_config/json_facts.h"
#include "common/version/version.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/private_run.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/client/embedding_statistics.h"
#include "coordinator/client/saved_embeddings.h"
#include "coordinator/files.h"

namespace diptych {
namespace {

int64_t UnixMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

EncodeOutcome Encode(const SaveEmbeddingsOrder& order, const PromptParts& prompt, int64_t row_limit,
                     const EncoderDescription& described, const EncoderClient& encoder, Environment& environment) {
  CallStop stop;
  const Interrupt::Reaction reaction(environment.interrupt, [&] { stop.Stop(); });
  return ValueOrThrow(encoder.Encode({.prompt = prompt,
                                      .layer = order.layer,
                                      .long_prompt_mode = order.long_prompt_mode,
                                      .row_limit = row_limit,
                                      .encoder = described},
                                     &stop));
}

void WarnIfShortened(const char* which, const ConditioningHeader& header, Environment& environment) {
  const auto line = ShortenedPrompt(which, {header.token_count, header.rows}, header.long_prompt_mode);
  if (line) environment.err << "diptych: warning: " << *line << std::endl;
}

void Print(const std::string& path, const Conditioning& conditioning, double encode_ms, bool json,
           Environment& environment) {
  const ConditioningHeader& header = conditioning.header;
  const EmbeddingStatistics numbers = Summarize(conditioning);
  const std::string dtype(StateDtypeName(header.dtype));
  if (json) {
    environment.out << JsonLine({{"path", path},
                                 {"rows", header.rows},
                                 {"width", header.width},
                                 {"dtype", dtype},
                                 {"token_count", header.token_count},
                                 {"layer", header.layer},
                                 {"mean", numbers.mean},
                                 {"std", numbers.std},
                                 {"min", numbers.min},
                                 {"max", numbers.max},
                                 {"encode_ms", encode_ms}});
  } else {
    environment.out << path << '\n'
                    << absl::StrFormat("  %d rows of %d values, %s, layer %d\n", header.rows, header.width, dtype,
                                       header.layer)
                    << absl::StrFormat("  mean %.4f, std %.4f, min %.4f, max %.4f\n", numbers.mean, numbers.std,
                                       numbers.min, numbers.max)
                    << absl::StrFormat("  encode %.2f s\n", encode_ms / 1000);
  }
  environment.out << std::flush;
}

}  // namespace

int64_t RowLimit(const PrivateOptions& options) {
  const std::filesystem::path config = options.TransformerConfig();
  if (!std::filesystem::exists(config)) return kTurboRowLimit;  // an encoder host need not have it
  return RowLimitOf(JsonFacts(ReadTextFile(config.string()), config.string()).PositiveList("axes_lens")[0]);
}

int RunSaveEmbeddings(const SaveEmbeddingsOrder& order, const PrivateOptions& options, Environment& environment) {
  CheckPrivate(options, environment.program_folder);
  const std::filesystem::path target = EmbeddingsPath(order.file);  // refuses a wrong name before the work
  PrepareToWrite(target, Readers::kOwner);
  const int64_t row_limit = RowLimit(options);
  PrivateNodesPlan plan = PlanPrivateNodes(options, environment.program_folder, nullptr);
  plan.renderer = false;
  const PrivateRun run(std::move(plan), options.verbose(), environment);
  const EncoderDescription encoder = ValueOrThrow(run.encoder().Describe());
  EncodeOutcome outcome = Encode(order, order.prompt, row_limit, encoder, run.encoder(), environment);
  SavedEmbeddings saved{.conditioning = std::move(outcome.conditioning),
                        .prompt = order.prompt,
                        .negative = std::nullopt,
                        .created_at = LocalTime(UnixMs()),
                        .encoder_device = encoder.device,
                        .model_path = options.model_path,
                        .program_version = kVersion};
  if (order.negative) {
    EncodeOutcome negative = Encode(order, *order.negative, row_limit, encoder, run.encoder(), environment);
    saved.negative = SavedNegative{std::move(negative.conditioning), order.negative};
  }
  const std::filesystem::path path = SaveEmbeddings(target, saved);
  WarnIfShortened("prompt", saved.conditioning.header, environment);
  if (saved.negative) WarnIfShortened("negative prompt", saved.negative->conditioning.header, environment);
  Print(path.string(), saved.conditioning, outcome.encode_ms, order.json, environment);
  return kExitDone;
}

}  // namespace diptych
