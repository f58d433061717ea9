// models: files of weights on this machine.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/fingerprint_folder.h"
#include "common/config/options.h"
#include "common/memory/memory_facts.h"
#include "common/weights/weights_check.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/result_text.h"
#include "coordinator/order/error_json.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

constexpr char kVerify[] = "verify";

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

class Models final : public Command {
 public:
  void AddArguments(CLI::App& app) override {
    app.add_option("ACTION", action_, "verify: read the weights anew and compare them with what is remembered");
    app.add_option("PATH", paths_, "a checkpoint folder, a part of it, or a file (.safetensors, .gguf); several");
  }

  void Configure(const Settings& settings) override {
    folder_ = FingerprintFolder(settings.Get(options::kFingerprintCache));
    json_ = settings.Get(options::kJson);
    if (action_ != kVerify) {
      throw UsageError(
          action_ ? absl::StrCat("diptych models knows no \"", *action_, "\"; it is: diptych models verify PATH")
                  : "what to do is missing: diptych models verify PATH");
    }
    if (paths_.empty()) throw UsageError("PATH is missing: diptych models verify PATH");
  }

  int Run(Environment& environment) override {
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

 private:
  std::optional<std::string> action_;
  std::vector<std::string> paths_;
  std::string folder_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeModels() { return std::make_unique<Models>(); }

}  // namespace diptych
