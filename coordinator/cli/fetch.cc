// fetch: the pictures of jobs.
#include <algorithm>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/options.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/job_follower.h"
#include "coordinator/cli/picture_output.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/client/job_json.h"
#include "coordinator/order/receipt_comparison.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

class Fetch final : public JobsCommand {
 public:
  void Configure(const Settings& settings) override {
    JobsCommand::Configure(settings);
    wish_ = ReadOutputWish(settings);
    fit_ = ReadFit(settings);
    if (pick_.names.size() == 1 && !InFolder()) (void)NamesOf(1);
  }

  int Run(Environment& environment) override {
    const std::unique_ptr<RenderClient> client = Connect(environment);
    CallStop stop;
    const Interrupt::Reaction reaction(environment.interrupt, [&] { stop.Stop(); });
    const std::vector<PickedJob> jobs = FindJobs(pick_, *client, {JobState::kDone}, environment);
    if (jobs.empty()) return kExitDone;
    const std::vector<OutputName> names = InFolder() ? NamesInFolder(jobs) : NamesOf(jobs.size());
    if (!NamesSayMore()) {  // else they are known with the pictures
      for (const OutputName& name : names) PrepareOutput(name, wish_.form);
    }
    std::vector<fs::path> paths;
    for (const OutputName& name : names) paths.push_back(name.path);
    for (const std::string& note : IdleFormFlags(wish_.form, paths)) {
      environment.err << "diptych: warning: " << note << std::endl;
    }
    std::map<std::string, size_t> index_of;
    for (size_t i = 0; i < jobs.size(); ++i) index_of[jobs[i].id] = i;
    ForEachPicked(
        jobs, "fetched", environment,
        [&](const std::string& id) {
          const size_t index = index_of.at(id);
          Get(id, names[index], *client, {.number = index + 1, .count = jobs.size()}, stop, environment);
        },
        FailureLines(environment));
    return kExitDone;
  }

 private:
  // A folder that is there, or a name that can be none but a folder's: each picture is called as its job.
  bool InFolder() const {
    if (wish_.outputs.size() != 1 || NamesSayMore()) return false;
    std::error_code ignored;
    return wish_.outputs[0].ends_with('/') || fs::is_directory(wish_.outputs[0], ignored);
  }

  bool NamesSayMore() const {
    return std::any_of(wish_.outputs.begin(), wish_.outputs.end(),
                       [](const std::string& output) { return HasFields(output, "--output"); });
  }

  std::vector<OutputName> NamesInFolder(const std::vector<PickedJob>& jobs) const {
    std::vector<OutputName> names;
    for (const PickedJob& job : jobs) {
      names.push_back({fs::path(wish_.outputs[0]) / (job.id + ExtensionOf(wish_.form)),
                       wish_.form.format.value_or(PictureFormat::kPng), /*chosen=*/false});
    }
    return names;
  }

  // As far as they say nothing of the pictures; the others are checked.
  std::vector<OutputName> NamesOf(size_t count) const {
    return NameOutputs(wish_, {{.pictures = std::vector<PictureFacts>(count), .own = {}, .place = {}}});
  }

  // Of a pattern, with what is known now.
  OutputName NameWithFacts(const JobView& job, const SeriesPlace& place) const {
    OutputWish wish = wish_;
    if (wish.outputs.size() > 1) wish.outputs = {wish_.outputs[place.number - 1]};
    const PictureFacts facts = {.index = place.number,
                                .pictures = place.count,
                                .seed = job.seed,
                                .prompt = job.prompt,
                                .width = job.width,
                                .height = job.height,
                                .steps = job.steps,
                                .unix_s = std::time(nullptr)};
    const OutputName name = NameOutputs(wish, {{.pictures = {facts}, .own = {}, .place = {}}})[0];
    PrepareOutput(name, wish_.form);
    return name;
  }

  void Get(const std::string& id, const OutputName& name, const RenderClient& client, const SeriesPlace& place,
           CallStop& stop, Environment& environment) const {
    WatchResult result;
    {
      ProgressView view(environment.Screen(), place);
      const FollowOptions options{.want_picture = true, .patience = connection_.timeout};
      result = FollowJob(client, id, options, view, environment.interrupt, &stop);
    }
    ThrowUnlessDone(result.job);
    if (const std::vector<std::string> other = NotAsAsked(result.png, result.job); !other.empty()) {
      environment.err << "diptych: warning: the receipt of job " << id
                      << " is not of what was asked for: " << absl::StrJoin(other, ", ") << " differ" << std::endl;
    }
    const OutputName output = NamesSayMore() ? NameWithFacts(result.job, place) : name;
    const std::string path = WriteOutput(output, wish_.form, result.png, fit_).string();
    if (json_) {
      environment.out << JsonLine({{"path", path}, {"job", JobJson(result.job)}}) << std::flush;
    } else {
      environment.out << path << std::endl;
    }
  }

  // What a size in the environment or a file says is for pictures that are to be painted.
  static std::optional<PictureFit> ReadFit(const Settings& settings) {
    const PictureFit fit{.mode = ParseFitMode(settings.Get(options::kFit)),
                         .width = static_cast<int32_t>(settings.Get(options::kWidth).value_or(0)),
                         .height = static_cast<int32_t>(settings.Get(options::kHeight).value_or(0))};
    const auto given = [&](const auto& option) { return settings.OriginOf(option) == Origin::kFlag; };
    const bool size_given = given(options::kWidth) || given(options::kHeight);
    if (fit.mode == FitMode::kNone) {
      if (size_given) throw UsageError("the picture is painted; --fit crop or --fit pad makes a file of another size");
      return std::nullopt;
    }
    if (fit.width > 0 && fit.height > 0) return fit;
    if (!given(options::kFit) && !size_given) return std::nullopt;
    throw UsageError(absl::StrCat("--fit ", FitModeName(fit.mode), " needs the size of the file: --size 500x300"));
  }

  OutputWish wish_;
  std::optional<PictureFit> fit_;
};

}  // namespace

std::unique_ptr<Command> MakeFetch() { return std::make_unique<Fetch>(); }

}  // namespace diptych
