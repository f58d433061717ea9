#include "common/config/config_search.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "common/config/home_path.h"
#include "common/error/error.h"

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
      folder = HomeFolder() / ".config";
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
    // One's own that cannot be read is a mistake, which reading it says.
    if (errno == EACCES && access(place.c_str(), F_OK) == 0 && place != kSystemPlace) return place;
  }
  return "";
}

}  // namespace diptych
