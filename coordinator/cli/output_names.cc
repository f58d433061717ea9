#include "coordinator/cli/output_names.h"

#include <optional>
#include <set>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "coordinator/cli/command.h"
#include "coordinator/files.h"

namespace diptych {

namespace fs = std::filesystem;

namespace {

// FILE-2.png for FILE.png.
fs::path Numbered(const fs::path& file, size_t number) {
  return file.parent_path() / absl::StrCat(file.stem().string(), "-", number, file.extension().string());
}

// Some outputs for some pictures.
class Share {
 public:
  // `what` they are called, in front of an error.
  Share(const std::vector<std::string>& outputs, size_t pictures, const std::string& what) : outputs_(outputs) {
    if (outputs.size() == 1 && pictures > 1 && IsDevice(outputs[0])) {
      throw UsageError(absl::StrCat(what, " \"", outputs[0], "\" is a device or a pipe, and there are ", pictures,
                                    " pictures; name a file"));
    }
    if (outputs.size() == 1 || outputs.size() == pictures) return;
    throw UsageError(absl::StrCat(what, ": ", pictures, pictures == 1 ? " picture" : " pictures", " and ",
                                  outputs.size(), " outputs; give one output, or one for each picture"));
  }

  // The next picture's, which is the `number`-th of `all` that are counted.
  fs::path Next(size_t number, size_t all) {
    if (outputs_.size() > 1) return outputs_[next_++];
    return all == 1 ? fs::path(outputs_[0]) : Numbered(outputs_[0], number);
  }

 private:
  const std::vector<std::string>& outputs_;
  size_t next_ = 0;
};

void Check(const fs::path& name, const std::string& what, std::set<fs::path>& seen) {
  const auto refuse = [&](const char* reason) {
    throw UsageError(absl::StrCat(what, " \"", name.string(), "\" ", reason));
  };
  if (name.filename().empty()) refuse("is not the name of a file");
  if (name == "-") refuse("is not the name of a file; /dev/stdout is the one of standard output");
  std::error_code ignored;  // of a name that no file can have: writing to it says so
  if (fs::is_directory(name, ignored)) refuse("is a folder; name a file in it");
  std::string extension = name.extension().string();
  absl::AsciiStrToLower(&extension);
  for (const char* other : {".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}) {
    if (extension == other) refuse("would not be what its name says: pictures are PNG files; name it .png");
  }
  const fs::path whole = fs::absolute(name, ignored).lexically_normal(), file = fs::weakly_canonical(whole, ignored);
  if (!seen.insert(file.empty() ? whole : file).second) refuse("is given twice");
}

}  // namespace

void CheckPreviewName(const std::string& name) {
  if (name.empty() || IsDevice(name)) return;
  std::string extension = fs::path(name).extension().string();
  absl::AsciiStrToLower(&extension);
  if (extension == ".jpg" || extension == ".jpeg") return;
  throw UsageError(absl::StrCat("--preview \"", name, "\" is not the name of a JPEG file; name it .jpg"));
}

std::vector<fs::path> NameOutputs(const std::vector<std::string>& outputs, const std::vector<PromptOutputs>& prompts) {
  size_t all = 0, sharing = 0;
  for (const PromptOutputs& prompt : prompts) {
    all += prompt.pictures;
    if (prompt.own.empty()) sharing += prompt.pictures;
  }
  std::vector<fs::path> names;
  std::set<fs::path> seen;
  std::optional<Share> shared;
  if (sharing > 0) shared.emplace(outputs, sharing, "--output");
  for (const PromptOutputs& prompt : prompts) {
    const std::string what = prompt.own.empty() ? "--output" : prompt.place + ": output";
    std::optional<Share> own;
    if (!prompt.own.empty()) own.emplace(prompt.own, prompt.pictures, what);
    for (size_t i = 1; i <= prompt.pictures; ++i) {
      names.push_back(own ? own->Next(i, prompt.pictures) : shared->Next(names.size() + 1, all));
      Check(names.back(), what, seen);
    }
  }
  return names;
}

std::vector<fs::path> NameOutputs(const std::vector<std::string>& outputs, int64_t count, bool count_given) {
  return NameOutputs(outputs, {{.pictures = count_given ? static_cast<size_t>(count) : outputs.size()}});
}

}  // namespace diptych
