#include "common/config/profile_file.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <toml.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/options.h"
#include "common/config/toml_bounds.h"
#include "common/config/unknown_name.h"
#include "common/config/value_text.h"
#include "common/error/error.h"
#include "common/files/temporary_name.h"

namespace diptych {
namespace {

constexpr std::string_view kInherits = "inherits";
constexpr size_t kLargestFile = 128 << 10;  // bytes; the example with every key has 9 KB
constexpr int kTickMs = 250;
constexpr int kWriterPatienceMs = 1500;  // for somebody who opens a pipe to write into it
constexpr int kPipePatienceMs = 20000;   // for the next byte from whoever has
constexpr size_t kMostMistakes = 100;    // looked for; the first one is told

using Values = std::vector<std::pair<const OptionInfo*, OptionValue>>;

struct Profile {
  Values values;
  std::string inherits;  // empty: stands alone
  int64_t inherits_line = 0;
};

// Editors and shells of Windows write marks in front of the text.
void RemoveByteOrderMark(const std::string& path, std::string& text) {
  if (text.rfind("\xFF\xFE", 0) == 0 || text.rfind("\xFE\xFF", 0) == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                absl::StrCat(path, " is UTF-16; save it as UTF-8, for instance with iconv -f UTF-16 -t UTF-8"));
  }
  if (text.rfind("\xEF\xBB\xBF", 0) == 0) text.erase(0, 3);
}

// Why the file cannot be read.
std::string Unreadable(const std::string& path, int error_number) {
  std::error_code ignored;
  for (const std::filesystem::path& link : {std::filesystem::path(path), std::filesystem::path(path).parent_path()}) {
    if (error_number != ENOENT || !std::filesystem::is_symlink(link, ignored) ||
        std::filesystem::exists(link, ignored)) {
      continue;
    }
    return absl::StrCat("cannot read the configuration file ", path, ": ", link == path ? "it" : link.string(),
                        " is a link to ", std::filesystem::read_symlink(link, ignored).string(),
                        ", which is not there");
  }
  return absl::StrCat("cannot read the configuration file ", path, ": ", std::strerror(error_number));
}

std::string ReadFile(const std::string& path) {
  if (std::error_code ignored; std::filesystem::is_directory(path, ignored)) {
    throw Error(ErrorCode::kNotFound, "the configuration file " + path + " is a folder; name the file in it");
  }
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) throw Error(ErrorCode::kNotFound, Unreadable(path, errno));
  std::string text(kLargestFile + 1, '\0');
  size_t used = 0;
  std::string problem;
  for (int waited_ms = 0; used < text.size() && problem.empty();) {
    pollfd input{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&input, 1, kTickMs);
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t count = read(fd, text.data() + used, text.size() - used);
    if (count > 0) {
      used += static_cast<size_t>(count);
      waited_ms = 0;
    } else if (count == 0 && ready != 0) {
      break;
    } else if (count < 0 && errno != EINTR && errno != EAGAIN) {
      problem = Unreadable(path, errno);
    } else if (waited_ms += kTickMs; waited_ms >= (count == 0 ? kWriterPatienceMs : kPipePatienceMs)) {
      // A pipe that nobody has opened yet reads as its end, without being ready.
      problem = "nobody writes into the configuration file " + path + ", which is a pipe";
    }
  }
  close(fd);
  if (!problem.empty()) throw Error(ErrorCode::kNotFound, problem);
  text.resize(used);
  if (text.size() > kLargestFile) {
    throw Error(ErrorCode::kInvalidArgument, path + " is larger than 128 KiB, which no configuration file is");
  }
  RemoveByteOrderMark(path, text);
  return text;
}

// The profiles of one file, checked. Remembers the first mistake by line, because the library's tables have no order.
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {
    for (const OptionInfo* info : AllOptions()) {
      if (info->key.empty()) continue;
      options_[std::string(info->key)] = info;
      if (const size_t dot = info->key.find('.'); dot != std::string_view::npos) {
        sections_.insert(std::string(info->key.substr(0, dot)));
      }
    }
  }

  std::map<std::string, Profile> Read() {
    const toml::value file = Parse();
    for (const auto& [name, table] : file.as_table()) ReadProfileTable(name, table);
    if (!mistakes_.empty()) throw Error(ErrorCode::kInvalidArgument, mistakes_.begin()->second);
    return profiles_;
  }

 private:
  toml::value Parse() const {
    const std::string bytes = ReadFile(path_);
    CheckTomlBounds(bytes, path_);
    std::istringstream text(bytes);
    try {
      return toml::parse(text, path_);
    } catch (const toml::exception& error) {
      // "[error] toml::parse_table: what is wrong" and then a drawing of the place.
      std::string what = error.what();
      what = what.substr(0, what.find('\n'));
      if (const size_t colon = what.find(": "); colon != std::string::npos) what = what.substr(colon + 2);
      throw Error(ErrorCode::kInvalidArgument,
                  absl::StrCat(path_, ":", error.location().line(), ": not valid TOML: ", Shown(what)));
    } catch (const std::exception& error) {  // of a date or number that the library itself cannot convert
      throw Error(ErrorCode::kInvalidArgument, absl::StrCat(path_, ": not valid TOML: ", Shown(error.what())));
    }
  }

  // A text of the file in a message.
  static std::string Shown(const std::string& text) {
    constexpr size_t kMost = 160;
    return text.size() <= kMost ? text : std::string(CutText(text, kMost)) + "...";
  }

  // Each costs a look at the whole file and at all keys.
  bool HasEnoughMistakes() const { return mistakes_found_ >= kMostMistakes; }

  void Mistake(const toml::value& place, const std::string& message) {
    ++mistakes_found_;
    const int64_t line = place.location().line();
    mistakes_.emplace(line, absl::StrCat(path_, ":", line, ": ", message));
  }

  void ReadProfileTable(const std::string& name, const toml::value& table) {
    if (HasEnoughMistakes()) return;
    if (!table.is_table()) {
      return Mistake(table,
                     absl::StrCat("key \"", Shown(name), "\" stands outside of any profile; put it below [default]"));
    }
    if (sections_.contains(name)) {
      return Mistake(table, absl::StrCat("[", name, "] is a section, not a profile; write [default.", name, "]"));
    }
    Profile& profile = profiles_[name];
    for (const auto& [key, value] : table.as_table()) {
      if (key == kInherits) {
        ReadInherits(value, profile);
      } else if (value.is_table() && sections_.contains(key)) {
        for (const auto& [inner, inner_value] : value.as_table()) ReadKey(key + "." + inner, inner_value, profile);
      } else if (value.is_table() && !options_.contains(key)) {
        Mistake(value, UnknownSectionMessage(Shown(key)));
      } else {
        ReadKey(key, value, profile);
      }
    }
  }

  void ReadInherits(const toml::value& value, Profile& profile) {
    if (!value.is_string()) return Mistake(value, "inherits must be the name of a profile in quotes");
    profile.inherits = value.as_string().str;
    profile.inherits_line = value.location().line();
  }

  void ReadKey(const std::string& key, const toml::value& value, Profile& profile) {
    if (HasEnoughMistakes()) return;
    const auto found = options_.find(key);
    if (found == options_.end()) return Mistake(value, UnknownKeyMessage(Shown(key)));
    const OptionInfo& info = *found->second;
    try {
      profile.values.emplace_back(&info, AcceptOption(info, Convert(info, value)));
    } catch (const Error& error) {
      Mistake(value, absl::StrCat(key, " = ", error.what()));
    }
  }

  // The value in the row's type; a whole number will do for a number.
  static OptionValue Convert(const OptionInfo& info, const toml::value& value) {
    switch (info.type) {
      case OptionType::kBool:
        if (value.is_boolean()) return value.as_boolean();
        break;
      case OptionType::kInteger:
        if (value.is_integer()) return static_cast<int64_t>(value.as_integer());
        break;
      case OptionType::kOptionalInteger:
        if (value.is_integer()) return std::optional<int64_t>(value.as_integer());
        break;
      case OptionType::kOptionalUnsigned:
        if (value.is_integer() && value.as_integer() >= 0) {
          return std::optional<uint64_t>(static_cast<uint64_t>(value.as_integer()));
        }
        break;
      case OptionType::kNumber:
        if (value.is_floating()) return value.as_floating();
        if (value.is_integer()) return static_cast<double>(value.as_integer());
        break;
      case OptionType::kOptionalNumber:
        if (value.is_floating()) return std::optional<double>(value.as_floating());
        if (value.is_integer()) return std::optional<double>(static_cast<double>(value.as_integer()));
        break;
      case OptionType::kText:
        if (value.is_string()) return value.as_string().str;
        if (value.is_boolean() && !info.when_true.empty()) return ParseOption(info, {TomlText(value.as_boolean())});
        break;
      case OptionType::kTextList:
        if (value.is_array()) return Texts(info, value);
        if (value.is_string()) {
          throw Error(ErrorCode::kInvalidArgument, absl::StrCat(Found(value), " must be a list: [", Found(value), "]"));
        }
        break;
    }
    throw Error(ErrorCode::kInvalidArgument, absl::StrCat(Found(value), " must be ", LegalValues(info)));
  }

  static std::vector<std::string> Texts(const OptionInfo& info, const toml::value& array) {
    std::vector<std::string> texts;
    for (const toml::value& element : array.as_array()) {
      if (!element.is_string()) {
        throw Error(ErrorCode::kInvalidArgument,
                    absl::StrCat(Found(element), " in it must be a text: ", LegalValues(info)));
      }
      texts.push_back(element.as_string().str);
    }
    return texts;
  }

  // The value as a message shows it.
  static std::string Found(const toml::value& value) {
    if (value.is_boolean()) return TomlText(value.as_boolean());
    if (value.is_integer()) return TomlText(static_cast<int64_t>(value.as_integer()));
    if (value.is_floating()) return TomlText(value.as_floating());
    if (value.is_string()) return TomlText(Shown(value.as_string().str));
    if (value.is_array()) return "a list";
    if (value.is_table()) return "a table";
    return "a date or time";
  }

  const std::string path_;
  std::map<std::string, const OptionInfo*> options_;  // by key
  std::set<std::string> sections_;
  std::map<std::string, Profile> profiles_;
  std::map<int64_t, std::string> mistakes_;  // by line
  size_t mistakes_found_ = 0;
};

std::string Names(const std::map<std::string, Profile>& profiles) {
  std::vector<std::string> names;
  for (const auto& [name, profile] : profiles) {
    if (names.size() < 10) names.emplace_back(CutText(name, 40));
  }
  if (profiles.size() > names.size()) names.emplace_back("...");
  return names.empty() ? "no profile at all" : absl::StrJoin(names, ", ");
}

}  // namespace

std::vector<std::pair<const OptionInfo*, OptionValue>> ReadProfile(const std::string& path,
                                                                   const std::string& profile) {
  const std::map<std::string, Profile> profiles = Reader(path).Read();
  Values values;
  if (profiles.empty() && profile == options::kProfile.info.default_text) return values;  // comments alone, as yet
  std::set<std::string> visited;
  std::set<const OptionInfo*> stated;
  std::string place = path;
  for (std::string name = profile; !name.empty();) {
    const auto found = profiles.find(name);
    if (found == profiles.end()) {
      throw Error(ErrorCode::kInvalidArgument,
                  absl::StrCat(place, ": no profile \"", name, "\"; the file holds ", Names(profiles)));
    }
    if (!visited.insert(name).second) {
      throw Error(ErrorCode::kInvalidArgument, absl::StrCat(place, ": profile \"", name, "\" inherits from itself"));
    }
    for (const auto& [info, value] : found->second.values) {
      if (stated.insert(info).second) values.emplace_back(info, value);
    }
    place = absl::StrCat(path, ":", found->second.inherits_line);
    name = found->second.inherits;
  }
  return values;
}

}  // namespace diptych
