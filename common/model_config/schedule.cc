#include "common/model_config/schedule.h"

#include <cmath>
#include <filesystem>
#include <sstream>

#include "common/error/error.h"
#include "common/foreign_text/foreign_text.h"
#include "common/model_config/json_facts.h"
#include "common/source_files/read_file.h"

namespace diptych {
namespace {

constexpr const char* kClass = "FlowMatchEulerDiscreteScheduler";
constexpr double kTrainTimesteps = 1000;  // of which the transformer's time is a part

std::string Number(double value) {
  std::ostringstream text;
  text.precision(17);
  text << value;
  const std::string exact = text.str();
  text.str("");
  text.precision(6);
  text << value;
  return std::stod(text.str()) == value ? text.str() : exact;
}

const char* SpacingName(Spacing spacing) {
  switch (spacing) {
    case Spacing::kKarras:
      return "karras";
    case Spacing::kExponential:
      return "exponential";
    case Spacing::kBeta:
      return "beta";
    case Spacing::kEven:
      break;
  }
  return "even";
}

Spacing ReadSpacing(const JsonFacts& json) {
  const std::pair<const char*, Spacing> kinds[] = {{"use_karras_sigmas", Spacing::kKarras},
                                                   {"use_exponential_sigmas", Spacing::kExponential},
                                                   {"use_beta_sigmas", Spacing::kBeta}};
  Spacing found = Spacing::kEven;
  for (const auto& [key, spacing] : kinds) {
    if (!json.Bool(key, false)) continue;
    if (found != Spacing::kEven) {
      json.Refuse(key, std::string("is true beside another one; of use_karras_sigmas, use_exponential_sigmas and ") +
                           "use_beta_sigmas at most one may be");
    }
    found = spacing;
  }
  return found;
}

std::optional<double> ReadSigma(const JsonFacts& json, const char* key) {
  if (!json.Has(key)) return std::nullopt;
  const double sigma = json.Number(key);
  if (!(sigma > 0)) json.Refuse(key, "must be above 0");
  return sigma;
}

Schedule ReadShape(const JsonFacts& json) {
  Schedule schedule;
  schedule.spacing = ReadSpacing(json);
  // Only the spacings that are not even look at these.
  const std::optional<double> least = ReadSigma(json, "sigma_min"), most = ReadSigma(json, "sigma_max");
  if (schedule.spacing != Spacing::kEven) {
    schedule.sigma_min = least;
    schedule.sigma_max = most;
  }
  schedule.terminal = json.Number("shift_terminal", 0);
  if (!(schedule.terminal >= 0 && schedule.terminal < 1)) {
    json.Refuse("shift_terminal", "must be at least 0 and below 1, found " + Number(schedule.terminal));
  }
  schedule.inverted = json.Bool("invert_sigmas", false);
  return schedule;
}

DynamicShift ReadDynamicShift(const JsonFacts& json) {
  DynamicShift dynamic;
  dynamic.base_shift = json.Number("base_shift", dynamic.base_shift);
  dynamic.max_shift = json.Number("max_shift", dynamic.max_shift);
  dynamic.base_image_seq_len = json.Number("base_image_seq_len", dynamic.base_image_seq_len);
  dynamic.max_image_seq_len = json.Number("max_image_seq_len", dynamic.max_image_seq_len);
  if (dynamic.max_image_seq_len == dynamic.base_image_seq_len) {
    json.Refuse("max_image_seq_len", "must differ from base_image_seq_len");
  }
  const std::string type = json.Text("time_shift_type", "exponential");
  if (type != "exponential" && type != "linear") {
    json.Refuse("time_shift_type", "must be \"exponential\" or \"linear\", found " + QuotedForeignText(type));
  }
  dynamic.exponential = type == "exponential";
  return dynamic;
}

void RefuseWhatWeDoNotFollow(const JsonFacts& json) {
  if (const std::string name = json.Text("_class_name", kClass); name != kClass) {
    json.Refuse("_class_name", "is " + QuotedForeignText(name) + ", which takes other steps; only \"" + kClass +
                                   "\" is supported: put that there, and a \"shift\" (Z-Image-Turbo: 3)");
  }
  if (json.Number("num_train_timesteps", kTrainTimesteps) != kTrainTimesteps) {
    json.Refuse("num_train_timesteps", "must be 1000, the time that the transformer counts in");
  }
  if (json.Bool("stochastic_sampling", false)) {
    json.Refuse("stochastic_sampling", "is true; steps that draw new noise are not supported, only false is");
  }
}

// One line where the schedule is not what people who know Z-Image-Turbo expect; they should find it in the log.
std::string Announcement(const ScheduleFacts& facts, bool has_shift, const std::string& name) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (const std::string shape = ToText(facts.schedule); !shape.empty()) add(shape);
  if (facts.dynamic) {
    add("a shift that follows the size of the picture (use_dynamic_shifting), unless a job states its own");
  } else if (!has_shift) {
    add("shift 1, since the file states none (Z-Image-Turbo's has 3)");
  }
  return text.empty() ? "" : name + ": the noise schedule is not Z-Image-Turbo's: " + text;
}

}  // namespace

std::string ToText(const Schedule& schedule) {
  if (schedule == Schedule{}) return "";
  std::string text = SpacingName(schedule.spacing);
  if (schedule.sigma_min) text += ", sigma_min " + Number(*schedule.sigma_min);
  if (schedule.sigma_max) text += ", sigma_max " + Number(*schedule.sigma_max);
  if (schedule.terminal > 0) text += ", terminal " + Number(schedule.terminal);
  if (schedule.inverted) text += ", inverted";
  return text;
}

double DynamicShift::For(int64_t image_tokens) const {
  const double slope = (max_shift - base_shift) / (max_image_seq_len - base_image_seq_len);
  const double mu = static_cast<double>(image_tokens) * slope + (base_shift - slope * base_image_seq_len);
  return exponential ? std::exp(mu) : mu;
}

ScheduleFacts ParseSchedule(const std::string& json_text, const std::string& name) {
  const JsonFacts json(json_text, name);
  RefuseWhatWeDoNotFollow(json);
  ScheduleFacts facts;
  facts.schedule = ReadShape(json);
  facts.shift = json.Number("shift", 1.0);
  if (!(facts.shift > 0)) json.Refuse("shift", "must be above 0");
  const DynamicShift dynamic = ReadDynamicShift(json);  // checked even where it is off, and so known
  if (json.Bool("use_dynamic_shifting", false)) facts.dynamic = dynamic;
  for (std::string line : {Announcement(facts, json.Has("shift"), name), json.UnknownKeysWarning({})}) {
    if (!line.empty()) facts.warnings.push_back(std::move(line));
  }
  return facts;
}

ScheduleFacts ReadSchedule(const std::string& folder) {
  const std::filesystem::path file = std::filesystem::path(folder) / "scheduler_config.json";
  if (IsAbsent(file.string())) return {};
  return ParseSchedule(ReadTextFile(file.string()), file.string());
}

}  // namespace diptych
