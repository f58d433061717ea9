#include "coordinator/cli/command_options.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/config_search.h"
#include "common/config/options.h"
#include "common/error/error.h"
#include "common/model_config/json_facts.h"
#include "common/source_files/model_folder.h"
#include "common/tokenizer/find_tokenizer.h"
#include "coordinator/cli/command.h"
#include "coordinator/files.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// Flags with which the renderer decodes in these tiles: "on" means every picture beyond one of them.
void AppendTiles(std::vector<std::string>& arguments, const DecodeTiles& tiles) {
  if (tiles.size == 0) {
    arguments.push_back("--tiled-vae=off");
    return;
  }
  arguments.insert(arguments.end(), {"--tiled-vae=on", absl::StrCat("--tile-size=", tiles.size),
                                     absl::StrCat("--tile-overlap=", tiles.overlap)});
}

void Append(std::vector<std::string>& arguments, const char* flag, const std::string& value) {
  if (!value.empty()) arguments.insert(arguments.end(), {flag, value});
}

// Only what the command line says: the daemons read the configuration file themselves.
template <typename T>
void HandOn(const Settings& settings, const Option<T>& option, std::vector<std::string>& arguments) {
  if (settings.OriginOf(option) != Origin::kFlag) return;
  arguments.push_back(absl::StrCat(std::string(option.info.flag), "=", settings.Get(option)));
}

}  // namespace

ConnectionOptions ReadConnection(const Settings& settings) {
  ConnectionOptions connection;
  connection.render = settings.Get(options::kRender);
  connection.render_flag = settings.OriginOf(options::kRender) == Origin::kFlag;
  connection.credentials = ReadCredentials(settings);
  connection.timeout = std::chrono::milliseconds(static_cast<int64_t>(settings.Get(options::kTimeout) * 1000));
  return connection;
}

std::unique_ptr<RenderClient> ConnectToRenderer(const ConnectionOptions& connection) {
  if (connection.render.empty()) {
    throw UsageError(
        "no renderer: give --render HOST:PORT, or set DIPTYCH_RENDER or render.address in the configuration file");
  }
  absl::StatusOr<std::unique_ptr<RenderClient>> client =
      RenderClient::Make(connection.render, connection.credentials, connection.timeout);
  if (!client.ok()) {
    // What is wrong with another flag names it.
    if (absl::StartsWith(client.status().message(), "--tls")) throw UsageError(std::string(client.status().message()));
    const char* const origin = connection.render_flag ? "--render: " : "--render (from environment or file): ";
    throw UsageError(absl::StrCat(origin, std::string(client.status().message())));
  }
  return *std::move(client);
}

PrivateOptions ReadPrivate(const Settings& settings) {
  PrivateOptions result;
  result.model_path = settings.Get(options::kModelPath);
  result.model_flag = settings.OriginOf(options::kModelPath) == Origin::kFlag;
  result.given_flags = settings.GivenFlags(kCliPrivate | kCliTokenizer | kCliMachine);
  result.text_encoder_path = settings.Get(options::kTextEncoderPath);
  result.transformer_path = settings.Get(options::kTransformerPath);
  result.vae_path = settings.Get(options::kVaePath);
  const std::string& dtype = settings.Get(options::kPrivateTorchDtype);
  if (settings.IsSet(options::kPrivateTorchDtype)) result.torch_dtype = dtype;
  result.threads = settings.Get(options::kPrivateThreads);
  HandOn(settings, options::kEncoderDevice, result.encoder_flags);
  HandOn(settings, options::kDitDevice, result.renderer_flags);
  HandOn(settings, options::kVaeDevice, result.renderer_flags);
  HandOn(settings, options::kTiledVae, result.renderer_flags);
  HandOn(settings, options::kTileSize, result.renderer_flags);
  HandOn(settings, options::kTileOverlap, result.renderer_flags);
  if (settings.OriginOf(options::kIgnoreMemory) == Origin::kFlag) {
    const char* const flag = settings.Get(options::kIgnoreMemory) ? "--ignore-memory" : "--ignore-memory=false";
    result.encoder_flags.push_back(flag);
    result.renderer_flags.push_back(flag);
  }
  HandOn(settings, options::kFingerprintCache, result.encoder_flags);
  HandOn(settings, options::kFingerprintCache, result.renderer_flags);
  result.config = settings.Get(options::kConfig);
  result.configuration = ConfigurationLine(settings);
  if (settings.IsSet(options::kProfile)) result.profile = settings.Get(options::kProfile);
  result.log_level = settings.Get(options::kLogLevel);
  return result;
}

void CheckPrivate(const PrivateOptions& options, const fs::path& program_folder) {
  for (const char* name : {"diptych-encoderd", "diptych-renderd"}) {
    const fs::path program = program_folder / name;
    if (fs::exists(program)) continue;
    throw Error(ErrorCode::kNotFound, program.string() + " is missing; it belongs beside the program diptych");
  }
  const auto check = [](const std::string& path, const std::string& problem) {
    std::error_code ignored;
    if (problem.empty()) return;
    const bool is_there = fs::exists(path, ignored);
    throw Error(is_there ? ErrorCode::kInvalidArgument : ErrorCode::kNotFound, problem);
  };
  if (!options.model_path.empty()) check(options.model_path, ModelFolderProblem(options.model_path));
  for (const std::string& part : {options.text_encoder_path, options.transformer_path, options.vae_path}) {
    std::error_code ignored;
    if (!part.empty() && !fs::exists(part, ignored)) check(part, PartProblem(part));
  }
}

fs::path PrivateOptions::TokenizerPlace() const { return FindTokenizer(model_path, text_encoder_path); }

fs::path PrivateOptions::TransformerConfig() const {
  std::error_code ignored;
  if (!transformer_path.empty() && fs::is_regular_file(transformer_path, ignored)) {
    return ConfigFileOf(transformer_path, ModelPart::kTransformer, model_path);
  }
  if (!transformer_path.empty()) return fs::path(transformer_path) / "config.json";
  return fs::path(model_path) / "transformer" / "config.json";
}

PrivateNodesPlan PlanPrivateNodes(const PrivateOptions& options, const fs::path& program_folder,
                                  const Receipt* receipt) {
  if (IsDevice(options.config)) {  // read by now, and what is read twice is empty
    throw UsageError(absl::StrCat("--config ", options.config,
                                  " is a pipe, which the daemons of this run cannot read again; name a file"));
  }
  std::vector<std::string> both;
  Append(both, "--config", options.config.empty() ? kNoConfig : options.config);
  Append(both, "--profile", options.profile);
  Append(both, "--model-path", options.model_path);
  if (options.threads > 0) Append(both, "--threads", std::to_string(options.threads));
  Append(both, "--log-level", options.log_level);

  PrivateNodesPlan plan;
  plan.program_folder = program_folder;
  plan.encoder_arguments = both;
  Append(plan.encoder_arguments, "--text-encoder-path", options.text_encoder_path);
  Append(plan.encoder_arguments, "--torch-dtype",
         options.torch_dtype.empty() && receipt != nullptr ? receipt->conditioning_dtype : options.torch_dtype);
  plan.encoder_arguments.insert(plan.encoder_arguments.end(), options.encoder_flags.begin(),
                                options.encoder_flags.end());
  plan.renderer_arguments = both;
  Append(plan.renderer_arguments, "--text-encoder-path", options.text_encoder_path);  // it leaves memory for it
  Append(plan.renderer_arguments, "--transformer-path", options.transformer_path);
  Append(plan.renderer_arguments, "--vae-path", options.vae_path);
  Append(plan.renderer_arguments, "--torch-dtype",
         options.torch_dtype.empty() && receipt != nullptr ? receipt->dtype : options.torch_dtype);
  plan.renderer_arguments.insert(plan.renderer_arguments.end(), options.renderer_flags.begin(),
                                 options.renderer_flags.end());
  const bool says_tiles =
      absl::c_any_of(options.renderer_flags, [](const std::string& flag) { return absl::StartsWith(flag, "--tile"); });
  if (receipt != nullptr && receipt->tiles && !says_tiles) AppendTiles(plan.renderer_arguments, *receipt->tiles);
  return plan;
}

}  // namespace diptych
