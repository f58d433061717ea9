// The values that a program runs with, and how they are found: flag, else environment, else the chosen profile of the
// TOML file, else the built-in default of the option table.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/option.h"

namespace CLI {
class App;
}

namespace diptych {

enum class Origin { kDefault, kFile, kEnvironment, kFlag };

// Immutable; turn settings into the program's own configuration at start. Each program has a test in which every key
// that it takes changes something.
class Settings {
 public:
  // A row that this command line does not take as a flag still has its value from the file, or its default.
  template <typename T>
  const T& Get(const Option<T>& option) const {
    return std::get<T>(Find(option.info).value);
  }

  // The same by the row itself.
  const OptionValue& ValueOf(const OptionInfo& info) const { return Find(info).value; }
  Origin OriginOf(const OptionInfo& info) const { return Find(info).origin; }

  // Where the value comes from. Ask OriginOf(x) == Origin::kFlag for "the user said so on this command line".
  template <typename T>
  Origin OriginOf(const Option<T>& option) const {
    return Find(option.info).origin;
  }

  // Given by flag, environment or file.
  template <typename T>
  bool IsSet(const Option<T>& option) const {
    return OriginOf(option) != Origin::kDefault;
  }

  // The same settings, but these rows as if their flags had these values; unset: as if nobody had said anything.
  using Change = std::pair<const OptionInfo*, std::optional<OptionValue>>;
  Settings With(const std::vector<Change>& changes) const;

  // What the user should know about the settings, one line each: a variable that is none of ours.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // The flags of these programs that were given on this command line, in the order of the table.
  std::vector<std::string> GivenFlags(ProgramMask programs) const;

 private:
  friend class SettingsBuilder;
  struct Entry {
    OptionValue value;
    Origin origin = Origin::kDefault;
  };
  const Entry& Find(const OptionInfo& info) const;

  std::map<const OptionInfo*, Entry> entries_;  // one for each row of the table
  std::vector<std::string> warnings_;
};

// Which file was read, and why: "configuration file /etc/diptych/diptych.toml (found there)".
std::string ConfigurationLine(const Settings& settings);

// One command line: the flags of some programs or groups of commands. `app` must outlive the loader.
class SettingsLoader {
 public:
  explicit SettingsLoader(ProgramMask programs);
  ~SettingsLoader();
  SettingsLoader(SettingsLoader&&) noexcept;

  // Declares the flags of these programs, with help. Call it once, before app.parse().
  void AddFlags(CLI::App& app);

  // After app.parse(). kConfig is then the file that was read (Origin::kFile: found, not named), or empty.
  // INVALID_ARGUMENT (wrong usage) for a value that is not legal, an unknown key, a profile that is not there;
  // NOT_FOUND for a missing file. The message names flag, or file, line and key.
  absl::StatusOr<Settings> Load() const;

 private:
  struct Flags;
  std::unique_ptr<Flags> flags_;
};

// The whole command line of a daemon. nullopt: --help or --version was answered on stdout, exit with 0.
// INVALID_ARGUMENT or NOT_FOUND: wrong usage, exit with 2.
absl::StatusOr<std::optional<Settings>> ParseDaemonCommandLine(ProgramMask program, const std::string& name,
                                                               const std::string& description, int argc,
                                                               const char* const* argv);

}  // namespace diptych
