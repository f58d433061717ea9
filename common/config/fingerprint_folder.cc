#include "common/config/fingerprint_folder.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "common/config/home_path.h"
#include "common/error/error.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr char kName[] = "fingerprints";

// The folder that a variable names, of several the first; empty: none by its whole path, which is how both are given.
fs::path FolderIn(const char* variable) {
  const char* const value = std::getenv(variable);
  const std::string first = value == nullptr ? "" : std::string(value).substr(0, std::string(value).find(':'));
  return fs::path(first).is_absolute() ? fs::path(first) : fs::path();
}

}  // namespace

std::string FingerprintFolder(const std::string& wish) {
  if (wish == kNoFingerprintCache) return "";
  if (!wish.empty()) return wish;
  if (const fs::path cache = FolderIn("XDG_CACHE_HOME"); !cache.empty()) return (cache / "diptych" / kName).string();
  if (const fs::path unit = FolderIn("CACHE_DIRECTORY"); !unit.empty()) return (unit / kName).string();
  try {
    const fs::path home = HomeFolder();
    std::error_code ignored;
    if (fs::is_directory(home, ignored)) return (home / ".cache" / "diptych" / kName).string();
  } catch (const Error&) {  // a service without a home folder
  }
  return "";
}

}  // namespace diptych
