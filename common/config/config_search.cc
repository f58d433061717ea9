#include "common/config/config_search.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "common/config/home_path.h"
#include "common/error/error.h"
#include "common/source_files/read_file.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr char kSystemPlace[] = "/etc/diptych/diptych.toml";

}  // namespace

std::vector<std::string> ConfigPlaces() {
  std::vector<std::string> places;
  fs::path folder;
  const char* given = std::getenv("XDG_CONFIG_HOME");
  if (given != nullptr && fs::path(given).is_absolute()) {  // the specification ignores others
    folder = given;
  } else {
    try {
      const fs::path home = HomeFolder();
      const bool is_closed = access(home.c_str(), X_OK) != 0 && errno == EACCES;  // as of a service
      if (!is_closed) folder = home / ".config";
    } catch (const Error&) {  // a service without a home folder
    }
  }
  if (!folder.empty()) places.push_back((folder / "diptych" / "diptych.toml").string());
  places.push_back(kSystemPlace);
  return places;
}

std::string FindConfig(const std::vector<std::string>& places) {
  for (const std::string& place : places) {
    if (access(place.c_str(), R_OK) == 0) return place;
    // One's own that is there and cannot be read is a mistake, which reading it says. XDG_CONFIG_HOME=/dev/null is
    // none.
    if (errno != ENOTDIR && place != kSystemPlace && !IsAbsent(place)) return place;
  }
  return "";
}

}  // namespace diptych
