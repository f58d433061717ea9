// generate: the whole way from a prompt to a file, with a renderer of the user's or one started for the run.
#include <CLI/CLI.hpp>
#include <ctime>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/config/options.h"
#include "common/error/error.h"
#include "common/image/png.h"
#include "common/log/log.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/embedding_command.h"
#include "coordinator/cli/job_follower.h"
#include "coordinator/cli/output_names.h"
#include "coordinator/cli/picture_order.h"
#include "coordinator/cli/private_run.h"
#include "coordinator/cli/receipt_comparison.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/files.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::milliseconds kCancelPatience(10000);

class Generate final : public Command {
 public:
  void AddArguments(CLI::App& app) override {
    app.add_option("PROMPT", prompt_, "what the picture shows; one argument, in quotes");
  }

  void Configure(const Settings& settings) override {
    connection_ = ReadConnection(settings);
    private_ = ReadPrivate(settings);
    picture_ = ReadPictureOptions(settings);
    json_ = settings.Get(options::kJson);
    save_embeddings_ = settings.Get(options::kSaveEmbeddings);
    preview_ = settings.Get(options::kPreview);
    // In a file it concerns the renderer, which says so in its log.
    custom_scheduler_ = settings.OriginOf(options::kUseCustomScheduler) == Origin::kFlag;
    const options::TextList& outputs = settings.Get(options::kOutput);
    if (save_embeddings_.empty()) outputs_ = NameOutputs(outputs, picture_.count, picture_.count_given);
    picture_.count = std::max<int64_t>(picture_.count, static_cast<int64_t>(outputs_.size()));
    ChooseForm();
  }

  int Run(Environment& environment) override {
    if (custom_scheduler_) Warn(environment, "--use-custom-scheduler has no effect: the shift is always honoured");
    if (!save_embeddings_.empty()) {
      if (!picture_.load_embeddings.empty() || !picture_.from_picture.empty()) {
        throw UsageError("--save-embeddings encodes a prompt; it does not go with --load-embeddings or --from-picture");
      }
      return RunSaveEmbeddings(EmbeddingsOrder(), private_, environment);
    }
    const PictureOrder order = MakeOrder(prompt_, picture_, RandomSeed);
    for (const std::string& note : order.notes) Warn(environment, note);
    for (const std::filesystem::path& output : outputs_) PrepareToWrite(output);
    if (!runs_privately_) {
      const std::unique_ptr<RenderClient> client = ConnectToRenderer(connection_);
      if (private_.verbose()) environment.err << "renderer " << client->address() << std::endl;
      return Make(order, *client, nullptr, environment);
    }
    PrivateNodesPlan plan =
        PlanPrivateNodes(private_, environment.program_folder, order.receipt ? &*order.receipt : nullptr);
    plan.encoder = order.request.conditioning == nullptr;
    PrivateRun run(std::move(plan), private_.verbose(), environment);
    return Make(order, run.renderer(), &run, environment);
  }

 private:
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

  SaveEmbeddingsOrder EmbeddingsOrder() const {
    SaveEmbeddingsOrder order{.prompt = MakePrompt(prompt_, picture_.prompt),
                              .negative = std::nullopt,
                              .layer = picture_.values.layer,
                              .long_prompt_mode = picture_.values.long_prompt_mode,
                              .file = save_embeddings_,
                              .json = json_};
    if (picture_.values.guidance_scale > 0) order.negative = NegativePrompt(picture_.negative_prompt, order.prompt);
    return order;
  }

  static void Warn(Environment& environment, const std::string& text) {
    environment.err << "diptych: warning: " << text << std::endl;
  }

  int Make(const PictureOrder& order, const RenderClient& client, PrivateRun* run, Environment& environment) {
    const bool has_encoder = order.request.conditioning == nullptr;
    if (order.receipt) {
      const RendererDescription renderer = ValueOrThrow(client.Describe());
      for (const std::string& line : DifferentModels(*order.receipt, renderer, has_encoder)) Warn(environment, line);
    }
    CancelOnInterrupt jobs(client, environment.interrupt, kCancelPatience);
    std::vector<Picture> pictures = SubmitAll(order, client, jobs, environment);
    std::string gone;   // not empty: why nothing more can be had from the renderer
    bool lost = false;  // the connection is, and the jobs go on there
    for (size_t i = 0; i < pictures.size(); ++i) {
      Picture& picture = pictures[i];
      if (picture.id.empty()) continue;  // was not submitted
      if (!gone.empty()) {
        picture.error = gone;
        continue;
      }
      try {
        picture.report = Finish(order, i, picture.id, client, run, jobs, environment);
        continue;
      } catch (const ConnectionLost& error) {
        lost = true;
        picture.error = gone = error.what();
      } catch (const std::exception& error) {
        if (environment.interrupt.requested()) throw;
        jobs.Remove(picture.id);
        picture.error = error.what();
        if (run != nullptr && run->OneEnded()) gone = picture.error;
      }
      if (pictures.size() > 1) Warn(environment, absl::StrCat(Label(i), ": ", EscapeForLog(picture.error)));
    }
    if (json_) environment.out << JsonLine({{"pictures", PicturesJson(order, pictures)}}) << std::flush;
    ThrowUnlessAllAreDone(pictures, lost && run == nullptr ? gone : "");
    return kExitDone;
  }

  struct Picture {
    std::string id;       // of its job; empty when it could not be submitted
    std::string error;    // why there is none
    ordered_json report;  // of one that was written
  };

  // Stops at the first job that is refused; those before it go on. Throws Error when that is the very first.
  std::vector<Picture> SubmitAll(const PictureOrder& order, const RenderClient& client, CancelOnInterrupt& jobs,
                                 Environment& environment) const {
    std::vector<Picture> pictures(outputs_.size());
    for (size_t i = 0; i < pictures.size(); ++i) {
      environment.interrupt.ThrowIfRequested();
      PictureRequest request = order.request;
      request.seed += i;
      request.idempotency_key = KeyOf(order, i, pictures.size());
      const absl::StatusOr<Submission> submission = client.Submit(request);
      if (!submission.ok() && i == 0) ThrowUnlessOk(submission.status());
      if (!submission.ok()) {
        const std::string reason = absl::StrCat("not submitted: ", std::string(submission.status().message()));
        for (size_t left = i; left < pictures.size(); ++left) pictures[left].error = reason;
        Warn(environment, absl::StrCat(Label(i), " and what follows: ", EscapeForLog(reason)));
        break;
      }
      pictures[i].id = submission->id;
      jobs.Add(submission->id);
    }
    return pictures;
  }

  static ordered_json PicturesJson(const PictureOrder& order, const std::vector<Picture>& pictures) {
    ordered_json all = ordered_json::array();
    for (size_t i = 0; i < pictures.size(); ++i) {
      const Picture& picture = pictures[i];
      all.push_back(picture.error.empty()
                        ? picture.report
                        : ordered_json{{"id", picture.id}, {"seed", order.request.seed + i}, {"error", picture.error}});
    }
    return all;
  }

  // The jobs whose pictures have the error `lost` (empty: none) go on at the renderer.
  static void ThrowUnlessAllAreDone(const std::vector<Picture>& pictures, const std::string& lost) {
    std::vector<std::string> errors, ids;
    for (const Picture& picture : pictures) {
      if (picture.error.empty()) continue;
      errors.push_back(picture.error);
      if (picture.error == lost) ids.push_back(picture.id);
    }
    if (errors.empty()) return;
    std::string message = errors[0];
    if (pictures.size() > 1) {
      message = absl::StrCat(errors.size(), " of ", pictures.size(), " pictures failed; the first: ", errors[0]);
    }
    if (!ids.empty()) {
      absl::StrAppend(&message, "; not cancelled: ", absl::StrJoin(ids, ", "),
                      ", which diptych watch ID follows and diptych fetch ID --output FILE.png gets");
    }
    throw Error(ErrorCode::kUnavailable, message);
  }

  std::string Label(size_t index) const { return absl::StrCat("picture ", index + 1, " of ", outputs_.size()); }

  ordered_json Finish(const PictureOrder& order, size_t index, const std::string& id, const RenderClient& client,
                      PrivateRun* run, CancelOnInterrupt& jobs, Environment& environment) {
    const std::string label = outputs_.size() > 1 ? Label(index) : "";
    FollowOptions options{.want_picture = true, .patience = connection_.timeout};
    options.preview = preview_;
    options.is_new = true;
    if (run != nullptr) options.check_nodes = [run] { run->ThrowIfOneEnded(); };
    WatchResult result;
    {
      ProgressView view(environment.err, environment.err_columns, label);
      result = FollowJob(client, id, options, view, environment.interrupt, &jobs.stop());
    }
    jobs.Remove(id);
    ThrowUnlessDone(result.job);
    WriteFileAtomically(outputs_[index], result.png);
    environment.interrupt.ThrowIfRequested();
    for (const std::string& line : ShortenedPrompts(result.job)) Warn(environment, line);
    return Report(order, index, result, environment);
  }

  ordered_json Report(const PictureOrder& order, size_t index, const WatchResult& result,
                      Environment& environment) const {
    const JobView& job = result.job;
    ordered_json json = {{"path", outputs_[index].string()},
                         {"id", job.id},
                         {"seed", job.seed},
                         {"width", job.width},
                         {"height", job.height},
                         {"steps", job.steps},
                         {"timings", TimingsJson(job.timings)}};
    if (!json_) {
      environment.out << outputs_[index].string() << '\n'
                      << "  " << job.width << " x " << job.height << ", seed " << job.seed
                      << (order.seed_drawn && index == 0 ? " (drawn at random)" : "") << '\n'
                      << "  " << TimingsLine(job.timings) << std::endl;
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
  std::vector<std::filesystem::path> outputs_;
  std::string save_embeddings_;
  std::string preview_;
  bool json_ = false;
  bool custom_scheduler_ = false;
  bool runs_privately_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeGenerate() { return std::make_unique<Generate>(); }

}  // namespace diptych
