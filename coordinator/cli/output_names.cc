#include "coordinator/cli/output_names.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "common/files/temporary_name.h"
#include "coordinator/cli/command.h"
#include "coordinator/files.h"

namespace diptych {

namespace fs = std::filesystem;

namespace {

constexpr char kDefaultStem[] = "output";

// FILE-2.png for FILE.png; of a long name as much as leaves room for the number.
fs::path Numbered(const fs::path& file, size_t number) {
  const std::string ending = absl::StrCat("-", number, file.extension().string());
  const size_t limit = LongestFileName(file.parent_path());
  const std::string stem = file.stem().string();
  return file.parent_path() / (std::string(CutText(stem, limit - std::min(limit, ending.size()))) + ending);
}

// The N of STEM-N.EXTENSION; nullopt for another name.
std::optional<size_t> NumberIn(std::string_view name, std::string_view stem, std::string_view extension) {
  if (name.size() < stem.size() + extension.size() + 2 || name.substr(0, stem.size()) != stem ||
      name[stem.size()] != '-' || name.substr(name.size() - extension.size()) != extension) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(stem.size() + 1, name.size() - stem.size() - 1 - extension.size());
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

// The largest N of files FILE-N.png that are there; 0: none is.
size_t LastNumber(const fs::path& file) {
  const std::string stem = file.stem().string(), extension = file.extension().string();
  size_t last = 0;
  std::error_code ignored;
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    last = std::max(last, NumberIn(entry.path().filename().string(), stem, extension).value_or(0));
  }
  return last;
}

bool IsTaken(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(file, ignored));
}

// Two spellings of one file have one.
fs::path Identity(const fs::path& name) {
  std::error_code ignored;
  const fs::path whole = fs::absolute(name, ignored).lexically_normal(), file = fs::weakly_canonical(whole, ignored);
  return file.empty() ? whole : file;
}

class Names {
 public:
  explicit Names(const OutputForm& form) : form_(form) {}

  // The name that one output gives to a picture, which is the `number`-th of `all` that are counted.
  OutputName Make(const std::string& output, const std::string& what, const PictureFacts& facts, size_t number,
                  size_t all) {
    const auto refuse = [&](const char* reason) { throw UsageError(absl::StrCat(what, " \"", output, "\" ", reason)); };
    if (output.empty()) refuse("is not the name of a file");
    if (output == "-") refuse("is not the name of a file; /dev/stdout is the one of standard output");
    const bool pattern = HasFields(output, what);
    fs::path file = ExpandPattern(output, facts);
    std::error_code ignored;  // of a name that no file can have: writing to it says so
    if (file.filename().empty() || fs::is_directory(file, ignored)) {
      return Series(file / (kDefaultStem + ExtensionOf(form_)), number, all);
    }
    if (IsDevice(file)) {
      if (all > 1) {
        throw UsageError(absl::StrCat(what, " \"", output, "\" is a device or a pipe, and there are ", all,
                                      " pictures; name a file"));
      }
    } else if (!FormatInName(file) && (pattern || (all > 1 && file.extension().empty()))) {
      file += ExtensionOf(form_);
    }
    const PictureFormat format = FormatOf(file, form_, what);
    if (pattern) return {Unique(file), format, /*chosen=*/true};
    if (all > 1) file = Numbered(file, number);
    if (!seen_.insert(Identity(file)).second) {
      throw UsageError(absl::StrCat(what, " \"", file.string(), "\" is given twice"));
    }
    return {file, format, /*chosen=*/false};
  }

  OutputName Default(size_t number, size_t all) { return Series(kDefaultStem + ExtensionOf(form_), number, all); }

 private:
  OutputName Series(const fs::path& base, size_t number, size_t all) {
    const PictureFormat format = form_.format.value_or(PictureFormat::kPng);
    if (form_.overwrite) return {Unique(all == 1 ? base : Numbered(base, number)), format, /*chosen=*/true};
    const auto [found, is_new] = last_.try_emplace(base, 0);
    if (is_new) found->second = LastNumber(base);
    const size_t last = found->second;
    const bool free = all == 1 && last == 0 && !IsTaken(base);
    return {Unique(free ? base : Numbered(base, last + number)), format, /*chosen=*/true};
  }

  // The first of NAME, NAME-1, NAME-2 that is neither given to another picture nor there.
  fs::path Unique(const fs::path& name) {
    fs::path candidate = name;
    for (size_t number = 1; seen_.contains(Identity(candidate)) || (!form_.overwrite && IsTaken(candidate)); ++number) {
      candidate = Numbered(name, number);
    }
    seen_.insert(Identity(candidate));
    return candidate;
  }

  const OutputForm& form_;
  std::set<fs::path> seen_;
  std::map<fs::path, size_t> last_;  // of a series: the number that was there before this command
};

void CheckCount(const std::string& what, size_t pictures, size_t outputs) {
  if (outputs == 1 || outputs == pictures) return;
  throw UsageError(absl::StrCat(what, ": ", pictures, pictures == 1 ? " picture" : " pictures", " and ", outputs,
                                " outputs; give one output, or one for each picture"));
}

}  // namespace

fs::path NextName(const fs::path& taken) {
  const std::string stem = taken.stem().string(), extension = taken.extension().string();
  const size_t dash = stem.rfind('-');
  if (dash == stem.npos || dash == 0) return Numbered(taken, 1);
  const auto number = NumberIn(taken.filename().string(), stem.substr(0, dash), extension);
  if (!number) return Numbered(taken, 1);
  return Numbered(taken.parent_path() / (stem.substr(0, dash) + extension), *number + 1);
}

void CheckPreviewName(const std::string& name) {
  if (name.empty() || IsDevice(name)) return;
  std::string extension = fs::path(name).extension().string();
  absl::AsciiStrToLower(&extension);
  if (extension == ".jpg" || extension == ".jpeg") return;
  throw UsageError(absl::StrCat("--preview \"", name, "\" is not the name of a JPEG file; name it .jpg"));
}

OutputWish ReadOutputWish(const Settings& settings) {
  OutputWish wish{.outputs = {}, .form = ReadOutputForm(settings)};
  if (settings.OriginOf(options::kOutput) != Origin::kDefault) wish.outputs = settings.Get(options::kOutput);
  return wish;
}

std::vector<OutputName> NameOutputs(const OutputWish& wish, const std::vector<PromptOutputs>& prompts) {
  size_t all = 0, sharing = 0;
  for (const PromptOutputs& prompt : prompts) {
    all += prompt.pictures.size();
    if (prompt.own.empty()) sharing += prompt.pictures.size();
  }
  if (sharing > 0 && !wish.outputs.empty()) CheckCount("--output", sharing, wish.outputs.size());
  std::vector<OutputName> names;
  Names namer(wish.form);
  size_t shared = 0;  // how many have got one of the command's outputs
  for (const PromptOutputs& prompt : prompts) {
    const std::string what = prompt.own.empty() ? "--output" : prompt.place + ": output";
    const size_t count = prompt.pictures.size();
    if (!prompt.own.empty()) CheckCount(what, count, prompt.own.size());
    for (size_t i = 0; i < count; ++i) {
      const PictureFacts& facts = prompt.pictures[i];
      const size_t number = names.size() + 1;
      if (!prompt.own.empty()) {
        const bool each = prompt.own.size() > 1;
        names.push_back(namer.Make(prompt.own[each ? i : 0], what, facts, i + 1, each ? 1 : count));
      } else if (wish.outputs.empty()) {
        names.push_back(namer.Default(number, all));
      } else if (wish.outputs.size() > 1) {
        names.push_back(namer.Make(wish.outputs[shared++], what, facts, 1, 1));
      } else {
        names.push_back(namer.Make(wish.outputs[0], what, facts, number, all));
      }
    }
  }
  return names;
}

}  // namespace diptych
