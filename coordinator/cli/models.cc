// models: files of weights on this machine.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/fingerprint_folder.h"
#include "common/config/options.h"
#include "common/foreign_text/escape.h"
#include "common/inspect/weights_report.h"
#include "common/memory/memory_facts.h"
#include "common/weights/weights_check.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/cli/weights_text.h"
#include "coordinator/order/error_json.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

constexpr char kInspect[] = "inspect", kList[] = "list", kVerify[] = "verify";

std::string ResultText(const WeightsCheck& check) {
  const std::string what =
      absl::StrCat(check.tensors, check.tensors == 1 ? " tensor (" : " tensors (", BytesText(check.bytes), ")");
  std::string text;
  if (!check.was_remembered) {
    text = absl::StrCat(what, " read; nothing was remembered of it");
  } else if (check.different.empty()) {
    text = absl::StrCat("OK, ", what, " as remembered", check.since.empty() ? "" : "; since then " + check.since);
  } else {
    constexpr size_t kMost = 3;
    const size_t named = std::min(kMost, check.different.size());
    text = absl::StrCat(
        "DIFFERENT, not as remembered: ",
        absl::StrJoin(check.different.begin(), check.different.begin() + static_cast<std::ptrdiff_t>(named), ", "));
    if (named < check.different.size()) absl::StrAppend(&text, " and ", check.different.size() - named, " more");
    absl::StrAppend(&text,
                    check.since.empty()
                        ? "; yet nothing else about the file has changed: a disk or memory that errs, or a clock "
                          "that was set back"
                        : "; since then " + check.since);
  }
  if (!check.not_kept.empty()) absl::StrAppend(&text, "; not remembered now: ", check.not_kept);
  return text;
}

ordered_json ResultJson(const std::string& path, const WeightsCheck& check) {
  return {{"path", path},
          {"tensors", check.tensors},
          {"bytes", check.bytes},
          {"was_remembered", check.was_remembered},
          {"since", check.since.empty() ? ordered_json() : ordered_json(check.since)},
          {"different", check.different},
          {"error", nullptr}};
}

// Of what is for people and goes to no terminal.
constexpr size_t kColumns = 100;

struct Action {
  std::string_view name;
  const char* usage;
};
constexpr Action kActions[] = {{kInspect, "diptych models inspect PATH"},
                               {kList, "diptych models list DIR"},
                               {kVerify, "diptych models verify PATH"}};

std::string UsageOf(std::string_view action) {
  const auto* const found = std::find_if(std::begin(kActions), std::end(kActions),
                                         [&](const Action& one) { return one.name == action; });
  if (found != std::end(kActions)) return found->usage;
  return absl::StrJoin(kActions, ", ", [](std::string* text, const Action& one) { absl::StrAppend(text, one.usage); });
}

// A part of a checkpoint that cannot be read at all.
bool IsDamaged(const WeightsReport& report) {
  return std::any_of(report.parts.begin(), report.parts.end(), [](const PartReport& part) { return part.is_damaged; });
}

class Models final : public Command {
 public:
  void AddArguments(CLI::App& app) override {
    app.add_option("ACTION", action_,
                   "inspect: say what files are; list: what lies in a folder; verify: read the weights anew and compare "
                   "them with what is remembered");
    app.add_option("PATH", paths_,
                   "a checkpoint folder, a part of it, or a file (.safetensors, .gguf); several. list: one folder");
  }

  void Configure(const Settings& settings) override {
    folder_ = FingerprintFolder(settings.Get(options::kFingerprintCache));
    json_ = settings.Get(options::kJson);
    const std::string action = action_.value_or(""), usage = UsageOf(action);
    if (action != kInspect && action != kList && action != kVerify) {
      throw UsageError(action_ ? absl::StrCat("diptych models knows no \"", *action_, "\"; it is one of: ", usage)
                               : "what to do is missing: " + usage);
    }
    if (paths_.empty()) throw UsageError((action == kList ? "DIR is missing: " : "PATH is missing: ") + usage);
    if (action == kList && paths_.size() > 1) throw UsageError("one folder at a time: " + usage);
  }

  int Run(Environment& environment) override {
    if (action_ == kInspect) return Inspect(environment);
    return action_ == kList ? List(environment) : Verify(environment);
  }

 private:
  int Inspect(Environment& environment) const {
    size_t failed = 0;
    bool is_first = true;
    for (const std::string& path : paths_) {
      environment.interrupt.ThrowIfRequested();
      if (!json_ && !is_first) environment.out << "\n";
      is_first = false;
      try {
        const WeightsReport report = InspectWeights(path);
        failed += IsDamaged(report) ? 1 : 0;
        environment.out << (json_ ? JsonLine(WeightsJson(report))
                                  : EscapeLines(WeightsText(report, Columns(environment))))
                        << std::flush;
      } catch (const Error& error) {
        if (paths_.size() == 1) throw;
        ++failed;
        environment.out << (json_ ? JsonLine({{"path", path}, {"error", ErrorJson(error)}})
                                  : Reflowed(EscapeText(error.what()), Columns(environment)) + "\n")
                        << std::flush;
      }
    }
    return StatusOf(failed, paths_.size());
  }

  int List(Environment& environment) const {
    namespace fs = std::filesystem;
    const std::vector<std::string> found = WeightsBelow(paths_[0]);
    std::vector<ListedWeights> listed;
    size_t failed = 0;
    for (const std::string& path : found) {
      environment.interrupt.ThrowIfRequested();
      ListedWeights one;
      one.path = path;
      std::error_code ignored;
      one.name = fs::path(path).lexically_relative(paths_[0]).string();
      if (one.name == "." || one.name.empty()) one.name = path;
      if (fs::is_directory(path, ignored) && !one.name.ends_with('/')) one.name += '/';
      try {
        one.report = InspectWeights(path);
        failed += IsDamaged(one.report) ? 1 : 0;
        if (json_) environment.out << JsonLine(WeightsJson(one.report)) << std::flush;
      } catch (const Error& error) {
        ++failed;
        one.error = error.what();
        if (json_) environment.out << JsonLine({{"path", path}, {"error", ErrorJson(error)}}) << std::flush;
      }
      listed.push_back(std::move(one));
    }
    if (!json_) environment.out << EscapeLines(WeightsTable(listed, Columns(environment))) << std::flush;
    return StatusOf(failed, found.size());
  }

  static size_t Columns(const Environment& environment) {
    const size_t columns = environment.OutColumns();
    return columns == 0 ? kColumns : columns;
  }

  static int StatusOf(size_t failed, size_t all) {
    if (failed == 0) return kExitDone;
    throw Error(ErrorCode::kDataLoss, absl::StrCat(failed, " of ", all, " cannot be read"));
  }

  int Verify(Environment& environment) const {
    std::vector<std::string> files;
    for (const std::string& path : paths_) {
      const std::vector<std::string> more = WeightsFilesIn(path);
      files.insert(files.end(), more.begin(), more.end());
    }
    const FingerprintCache cache(folder_);
    size_t different = 0, failed = 0;
    for (const std::string& file : files) {
      try {
        const WeightsCheck check = CheckWeights(file, cache, environment.interrupt.token());
        different += check.different.empty() ? 0 : 1;
        environment.out << (json_ ? JsonLine(ResultJson(file, check))
                                  : absl::StrCat(file, ": ", ResultText(check), "\n"))
                        << std::flush;
      } catch (const Error& error) {
        if (files.size() == 1 || environment.interrupt.requested()) throw;
        ++failed;
        environment.out << (json_ ? JsonLine({{"path", file}, {"error", ErrorJson(error)}})
                                  : absl::StrCat(error.what(), "\n"))
                        << std::flush;
      }
    }
    if (!json_) {
      environment.out << (folder_.empty() ? "nothing is remembered (--fingerprint-cache none, or no home folder)"
                                          : absl::StrCat("compared with ", folder_))
                      << std::endl;
    }
    const auto of_all = [&](size_t n) {
      return absl::StrCat(n, " of ", files.size(), files.size() == 1 ? " file" : " files");
    };
    if (failed > 0) throw Error(ErrorCode::kDataLoss, absl::StrCat(of_all(failed), " cannot be verified"));
    if (different > 0) throw Error(ErrorCode::kDataLoss, absl::StrCat(of_all(different), " not as remembered"));
    return kExitDone;
  }

  std::optional<std::string> action_;
  std::vector<std::string> paths_;
  std::string folder_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeModels() { return std::make_unique<Models>(); }

}  // namespace diptych
