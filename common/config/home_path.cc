#include "common/config/home_path.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error/error.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr size_t kEntryBytes = 1 << 16;  // names and paths of one entry of the user database

// `user` empty: the one that runs this program. nullopt: not in the user database.
std::optional<fs::path> HomeInDatabase(const std::string& user) {
  std::vector<char> texts(kEntryBytes);
  passwd entry{};
  passwd* found = nullptr;
  const int error = user.empty() ? getpwuid_r(getuid(), &entry, texts.data(), texts.size(), &found)
                                 : getpwnam_r(user.c_str(), &entry, texts.data(), texts.size(), &found);
  if (error != 0 || found == nullptr || found->pw_dir == nullptr) return std::nullopt;
  return fs::path(found->pw_dir);
}

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

// "$HOME/x" and "${HOME}/x", not "$5.png".
bool BeginsWithVariable(std::string_view path) {
  if (path.size() < 2 || path[0] != '$') return false;
  return path[1] == '{' || path[1] == '_' || std::isalpha(static_cast<unsigned char>(path[1])) != 0;
}

// "file:///a%20b", "file://localhost/a", "file:/a": "/a b", as browsers and file managers copy a path. nullopt: a path.
std::optional<std::string> PathOfAddress(std::string_view text) {
  constexpr std::string_view kScheme = "file:/";
  if (!absl::EqualsIgnoreCase(absl::string_view(text.data(), std::min(text.size(), kScheme.size())), "file:/")) {
    return std::nullopt;
  }
  std::string_view rest = text.substr(kScheme.size() - 1);
  if (rest.starts_with("//")) rest = rest.substr(std::min(rest.find('/', 2), rest.size()));  // behind the host
  std::string path;
  for (size_t at = 0; at < rest.size(); ++at) {
    const bool is_escape = rest[at] == '%' && at + 2 < rest.size() && absl::ascii_isxdigit(rest[at + 1]) &&
                           absl::ascii_isxdigit(rest[at + 2]);
    path += is_escape ? absl::HexStringToBytes(std::string(rest.substr(at + 1, 2))) : std::string(1, rest[at]);
    if (is_escape) at += 2;
  }
  return path;
}

}  // namespace

fs::path HomeFolder() {
  const char* home = std::getenv("HOME");
  if (home != nullptr && fs::path(home).is_absolute()) return home;
  const std::optional<fs::path> folder = HomeInDatabase("");
  if (!folder || !folder->is_absolute()) {
    Refuse("HOME is not set and the user database names no home folder; write the whole path, or set HOME");
  }
  return *folder;
}

std::string ExpandHome(std::string_view path) {
  if (BeginsWithVariable(path)) {
    Refuse(absl::StrCat("\"", std::string(path), "\": variables are not looked up here; write ~/ for the home folder, ",
                        "or the whole path"));
  }
  if (const std::optional<std::string> meant = PathOfAddress(path)) {
    Refuse(absl::StrCat("\"", std::string(path), "\" is an address; write the path alone: ", *meant));
  }
  if (path.empty() || path[0] != '~') return std::string(path);
  const size_t slash = path.find('/');
  const std::string user(path.substr(1, slash == path.npos ? path.npos : slash - 1));
  const size_t begin = slash == path.npos ? path.npos : path.find_first_not_of('/', slash);
  const std::string_view rest = begin == path.npos ? "" : path.substr(begin);
  fs::path home;
  if (user.empty()) {
    home = HomeFolder();
  } else if (const std::optional<fs::path> folder = HomeInDatabase(user)) {
    home = *folder;
  } else {
    Refuse(absl::StrCat("\"", std::string(path), "\": there is no user \"", user, "\" whose home folder ~", user,
                        " could be; a file of that name is written ./", std::string(path)));
  }
  return slash == path.npos ? home.string() : (home / rest).string();
}

}  // namespace diptych
