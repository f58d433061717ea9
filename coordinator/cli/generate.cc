// generate: the whole way from a prompt to a file, with a renderer of the user's or one started for the run.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/options.h"
#include "common/error/error.h"
#include "common/image/png.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/command_plan.h"
#include "coordinator/cli/embedding_command.h"
#include "coordinator/cli/job_follower.h"
#include "coordinator/cli/output_names.h"
#include "coordinator/cli/picture_output.h"
#include "coordinator/cli/picture_series.h"
#include "coordinator/cli/private_run.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/client/job_json.h"
#include "coordinator/files.h"
#include "coordinator/order/prompt_source.h"
#include "coordinator/order/receipt_comparison.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::milliseconds kCancelPatience(10000);

class Generate final : public Command {
 public:
  void AddArguments(CLI::App& app) override {
    app.add_option("PROMPT", prompt_, "what the picture shows; one argument, in quotes; -: standard input");
  }

  void Configure(const Settings& settings) override {
    connection_ = ReadConnection(settings);
    private_ = ReadPrivate(settings);
    picture_ = ReadPictureOptions(settings);
    json_ = settings.Get(options::kJson);
    wish_ = ReadOutputWish(settings);
    save_embeddings_ = settings.Get(options::kSaveEmbeddings);
    RefuseEmbeddingsName(save_embeddings_);
    preview_ = settings.Get(options::kPreview);
    CheckPreviewName(preview_);
    // In a file it concerns the renderer, which says so in its log.
    custom_scheduler_ = settings.OriginOf(options::kUseCustomScheduler) == Origin::kFlag;
    settings_ = settings;
    ChooseForm();
  }

  int Run(Environment& environment) override {
    if (custom_scheduler_) Warn(environment, "--use-custom-scheduler has no effect: the shift is always honoured");
    if (!save_embeddings_.empty()) {
      if (!picture_.load_embeddings.empty() || !picture_.from_picture.empty() || settings_->IsSet(options::kPrompts)) {
        throw UsageError(
            "--save-embeddings encodes a prompt; it does not go with --load-embeddings, --from-picture or --prompts");
      }
      WarnOfUnusedFlags(environment);
      return RunSaveEmbeddings(EmbeddingsOrder(environment.Input()), private_, environment);
    }
    const PicturePlan plan = ReadCommandPlan(prompt_, *settings_, environment);
    outputs_ = NamePictures(plan, wish_, began_);
    std::vector<std::filesystem::path> paths;
    for (const OutputName& output : outputs_) paths.push_back(output.path);
    for (const std::string& note : IdleFormFlags(wish_.form, paths)) Warn(environment, note);
    for (const std::string& note : plan.notes) Warn(environment, note);
    for (const OutputName& output : outputs_) PrepareOutput(output, wish_.form);
    // A picture that is standard output has it for itself; what is said of it goes beside.
    if (std::any_of(paths.begin(), paths.end(), IsStandardOutput)) {
      Environment beside{.out = environment.err,
                         .err = environment.err,
                         .err_columns = environment.err_columns,
                         .interrupt = environment.interrupt,
                         .program_folder = environment.program_folder,
                         .in = environment.in,
                         .err_redraws = environment.err_redraws,
                         .out_columns = environment.err_columns};
      return Paint(plan, beside);
    }
    return Paint(plan, environment);
  }

 private:
  int Paint(const PicturePlan& plan, Environment& environment) {
    if (!runs_privately_) {
      const std::unique_ptr<RenderClient> client = ConnectToRenderer(connection_);
      if (private_.verbose()) environment.err << "renderer " << client->address() << std::endl;
      return Make(plan, *client, nullptr, environment);
    }
    const PictureOrder& first = plan.OrderOf(0);
    PrivateNodesPlan nodes =
        PlanPrivateNodes(private_, environment.program_folder, first.receipt ? &*first.receipt : nullptr);
    nodes.encoder = first.request.conditioning == nullptr;
    CheckPrivate(private_, environment.program_folder);
    PrivateRun run(std::move(nodes), private_.verbose(), environment);
    return Make(plan, run.renderer(), &run, environment);
  }

  // A flag says more than the environment or the file; of two that say equally much the renderer's wins.
  void ChooseForm() {
    const bool has_render = !connection_.render.empty(), has_model = !private_.model_path.empty();
    if (!has_model && (!has_render || !save_embeddings_.empty())) {
      throw UsageError(save_embeddings_.empty()
                           ? "nobody to paint: give --render HOST:PORT (or DIPTYCH_RENDER) for a running renderer, or "
                             "--model-path DIR to start one for this run"
                           : "--save-embeddings needs --model-path DIR: the encoder is started for this run");
    }
    runs_privately_ = !has_render || (private_.model_flag && !connection_.render_flag);
    if (!runs_privately_ && !private_.given_flags.empty() && save_embeddings_.empty()) {
      throw UsageError(absl::StrCat("--render", connection_.render_flag ? "" : " (from environment or file)", " and ",
                                    private_.given_flags.front(),
                                    " exclude each other: a renderer has its own model and settings"));
    }
  }

  SaveEmbeddingsOrder EmbeddingsOrder(const InputSource& source) const {
    SaveEmbeddingsOrder order{
        .prompt = MakePrompt(ReadPromptText(prompt_, *settings_, source), picture_.prompt, source),
        .negative = std::nullopt,
        .layer = picture_.members.values.layer,
        .long_prompt_mode = picture_.members.values.long_prompt_mode,
        .file = save_embeddings_,
        .json = json_};
    if (picture_.members.values.guidance_scale > 0)
      order.negative = NegativePrompt(picture_.negative_prompt, order.prompt);
    return order;
  }

  // No picture is made.
  void WarnOfUnusedFlags(Environment& environment) const {
    const auto warn = [&](const auto& option) {
      if (settings_->OriginOf(option) != Origin::kFlag) return;
      Warn(environment, absl::StrCat(std::string(option.info.flag), " has no effect with --save-embeddings"));
    };
    warn(options::kOutput);
    warn(options::kFormat);
    warn(options::kQuality);
    warn(options::kNoMetadata);
    warn(options::kOverwrite);
    warn(options::kRender);
    warn(options::kCount);
    warn(options::kSeed);
    warn(options::kSeeds);
    warn(options::kWidth);
    warn(options::kHeight);
    warn(options::kSteps);
  }

  static void Warn(Environment& environment, const std::string& text) {
    environment.err << "diptych: warning: " << text << std::endl;
  }

  // Names may hold sizes and steps, which are known now where they are the model's own.
  void NameAnew(const PicturePlan& plan) {
    std::vector<OutputName> names = NamePictures(plan, wish_, began_);
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i] != outputs_[i]) PrepareOutput(names[i], wish_.form);
    }
    outputs_ = std::move(names);
  }

  int Make(PicturePlan plan, const RenderClient& client, PrivateRun* run, Environment& environment) {
    const RendererDescription renderer = ValueOrThrow(client.Describe());
    for (const std::string& note : CompletePlan(renderer, plan)) Warn(environment, note);
    NameAnew(plan);
    const PictureOrder& first = plan.OrderOf(0);
    if (first.receipt) {
      const bool has_encoder = first.request.conditioning == nullptr;
      for (const std::string& line : DifferentModels(*first.receipt, renderer, has_encoder)) Warn(environment, line);
    }
    CancelOnInterrupt jobs(client, environment.interrupt, kCancelPatience, {.name = first.request.client});
    PictureSeries series(plan, client, run, jobs, environment);
    const auto print = [&](const ordered_json& report) { environment.out << JsonLine(report) << std::flush; };
    series.Make([&](size_t index,
                    const std::string& id) { return Finish(plan, index, id, client, run, series, jobs, environment); },
                json_ ? print : std::function<void(const ordered_json&)>());
    series.ThrowUnlessAllAreDone();
    return kExitDone;
  }

  ordered_json Finish(const PicturePlan& plan, size_t index, const std::string& id, const RenderClient& client,
                      PrivateRun* run, PictureSeries& series, CancelOnInterrupt& jobs, Environment& environment) {
    FollowOptions options{.want_picture = true, .patience = connection_.timeout};
    options.preview = preview_;
    options.warn_shortened = true;
    options.is_new = true;
    if (run != nullptr) options.check_nodes = [run] { run->ThrowIfOneEnded(); };
    WatchResult result;
    {
      ProgressView view(environment.Screen(),
                        {.number = index + 1, .count = outputs_.size(), .all_left_ms = [&](const JobView& job) {
                           return series.AllLeftMs(job);
                         }});
      result = FollowJob(client, id, options, view, environment.interrupt, &jobs.stop());
    }
    jobs.Remove(id);
    ThrowUnlessDone(result.job);
    try {
      outputs_[index].path = WriteOutput(outputs_[index], wish_.form, result.png, plan.OrderOf(index).fit);
    } catch (const Error& error) {
      if (run != nullptr) throw;
      throw Error(error.code(),
                  absl::StrCat(error.what(), "; the renderer keeps it: diptych fetch ", id, " --output FILE.png"));
    }
    environment.interrupt.ThrowIfRequested();
    return Report(plan, index, result, environment);
  }

  static ordered_json ReceiptJson(const std::string& png) {
    try {
      return ordered_json::parse(ToJson(FindReceipt(ReadPngText(png))));
    } catch (const std::exception&) {
      return nullptr;  // an older renderer's
    }
  }

  // What the renderer was asked for, where a receipt has it too.
  static JobView AskedFor(const PicturePlan& plan, size_t index) {
    const PictureRequest request = plan.Request(index);
    JobView asked;
    asked.prompt = plan.PromptText(index);
    asked.width = request.width;
    asked.height = request.height;
    asked.seed = request.seed;
    asked.steps = request.Evaluations();
    return asked;
  }

  // "512 x 304", or "500 x 300 (painted 512 x 304, crop)"
  static std::string SizeText(const JobView& job, const std::optional<PictureFit>& fit) {
    const std::string painted = absl::StrCat(job.width, " x ", job.height);
    if (!fit) return painted;
    return absl::StrCat(fit->width, " x ", fit->height, " (painted ", painted, ", ", FitModeName(fit->mode), ")");
  }

  ordered_json Report(const PicturePlan& plan, size_t index, const WatchResult& result,
                      Environment& environment) const {
    const JobView& job = result.job;
    const PictureOrder& order = plan.OrderOf(index);
    if (const std::vector<std::string> other = NotAsAsked(result.png, AskedFor(plan, index)); !other.empty()) {
      Warn(environment, absl::StrCat("the receipt of ", outputs_[index].path.string(),
                                     " is not of what was asked for: ", absl::StrJoin(other, ", "), " differ"));
    }
    ordered_json json = {{"state", std::string(JobStateName(job.state))},
                         {"id", job.id},
                         {"path", outputs_[index].path.string()},
                         {"prompt", plan.PromptText(index)},
                         {"seed", job.seed},
                         {"width", order.fit ? order.fit->width : job.width},
                         {"height", order.fit ? order.fit->height : job.height},
                         {"steps", job.steps},
                         {"timings", TimingsJson(job.timings)},
                         {"receipt", ReceiptJson(result.png)},
                         {"error", nullptr}};
    if (!json_) {
      environment.out << outputs_[index].path.string() << '\n'
                      << "  " << SizeText(job, order.fit) << ", seed " << job.seed
                      << (plan.pictures[index].seed_drawn ? " (drawn at random)" : "") << '\n'
                      << Wrapped(TimingsLine(job.timings), environment.OutColumns(), "  ") << std::endl;
    }
    if (order.receipt && index == 0) {
      const std::vector<std::string> different = DifferentFields(*order.receipt, FindReceipt(ReadPngText(result.png)));
      json["receipt_identical"] = different.empty();
      json["receipt_differs_in"] = different;
      if (!json_) {
        environment.out << "  "
                        << (different.empty() ? "receipt identical"
                                              : "receipt differs in " + absl::StrJoin(different, ", "))
                        << std::endl;
      }
    }
    return json;
  }

  std::optional<std::string> prompt_;
  ConnectionOptions connection_;
  PrivateOptions private_;
  PictureOptions picture_;
  std::optional<Settings> settings_;
  OutputWish wish_;
  const int64_t began_ = std::time(nullptr);
  std::vector<OutputName> outputs_;
  std::string save_embeddings_;
  std::string preview_;
  bool json_ = false;
  bool custom_scheduler_ = false;
  bool runs_privately_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeGenerate() { return std::make_unique<Generate>(); }

}  // namespace diptych
