#include "coordinator/cli/output_names.h"

#include <set>

#include "coordinator/cli/command.h"

namespace diptych {

namespace fs = std::filesystem;

std::vector<fs::path> NameOutputs(const std::vector<std::string>& outputs, int64_t count, bool count_given) {
  if (!count_given && outputs.size() > 1) count = static_cast<int64_t>(outputs.size());
  std::vector<fs::path> names(outputs.begin(), outputs.end());
  if (names.size() == 1 && count > 1) {
    const fs::path only = names[0];
    names.clear();
    for (int64_t i = 1; i <= count; ++i) {
      names.push_back(only.parent_path() /
                      (only.stem().string() + "-" + std::to_string(i) + only.extension().string()));
    }
  }
  if (static_cast<int64_t>(names.size()) != count) {
    throw UsageError("--count " + std::to_string(count) + " with " + std::to_string(names.size()) +
                     " times --output: give one --output, or one for each picture");
  }
  std::set<fs::path> seen;
  for (const fs::path& name : names) {
    if (name.filename().empty()) throw UsageError("--output \"" + name.string() + "\" is not the name of a file");
    if (fs::is_directory(name)) throw UsageError("--output " + name.string() + " is a folder; name a file in it");
    if (!seen.insert(fs::weakly_canonical(name)).second)
      throw UsageError("--output " + name.string() + " is given twice");
  }
  return names;
}

}  // namespace diptych
