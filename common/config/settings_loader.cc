#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "common/config/profile_file.h"
#include "common/config/settings.h"
#include "common/config/settings_builder.h"
#include "common/config/unplaced_argument.h"
#include "common/config/value_text.h"
#include "common/error/error.h"
#include "common/status/status.h"
#include "common/version/version.h"

namespace diptych {
namespace {

// "--verbose,-v" and "--debug" as CLI11 takes them, short spellings first.
std::string FlagNames(const OptionInfo& info) {
  return info.aliases.empty() ? std::string(info.flag)
                              : absl::StrCat(std::string(info.aliases), ",", std::string(info.flag));
}

// What the help shows in place of the value.
std::string ValueName(const OptionInfo& info) {
  if (!info.choices.empty()) {
    std::string name(info.choices);
    std::replace(name.begin(), name.end(), ',', '|');
    return name;
  }
  if (!info.unit.empty()) return std::string(info.unit);
  switch (info.type) {
    case OptionType::kInteger:
    case OptionType::kOptionalInteger:
      return "N";
    case OptionType::kNumber:
    case OptionType::kOptionalNumber:
      return "NUMBER";
    default:
      return "TEXT";
  }
}

std::string Description(const OptionInfo& info) {
  std::string text(info.help);
  const bool numeric =
      info.type != OptionType::kBool && info.type != OptionType::kText && info.type != OptionType::kTextList;
  if (numeric) absl::StrAppend(&text, "; ", LegalValues(info));
  if (!info.when_true.empty()) {
    absl::StrAppend(&text, "; ", std::string(info.flag), "=VALUE, ", LegalValues(info),
                    "; alone: ", std::string(info.when_true));
  }
  if (info.type != OptionType::kBool && !info.default_text.empty()) {
    absl::StrAppend(&text, " (default ", std::string(info.default_text), ")");
  }
  if (!info.environment.empty()) absl::StrAppend(&text, " [environment: ", std::string(info.environment), "]");
  return text;
}

// Runs `parse`, and puts the place in front of what it refuses.
template <typename Parse>
void Placed(const std::string& place, Parse&& parse) {
  try {
    parse();
  } catch (const Error& error) {
    throw Error(error.code(), absl::StrCat(place, ": ", error.what()));
  }
}

}  // namespace

struct SettingsLoader::Flags {
  ProgramMask programs = 0;
  std::vector<std::pair<const OptionInfo*, CLI::Option*>> declared;

  bool Given(const OptionInfo& info) const {
    for (const auto& [declared_info, flag] : declared) {
      if (declared_info == &info) return flag->count() > 0;
    }
    return false;
  }

  Settings Load() const {
    SettingsBuilder builder;
    SetFlagsAndEnvironment(builder);
    const std::string path = builder.settings().Get(options::kConfig);
    const std::string profile = builder.settings().Get(options::kProfile);
    if (!path.empty()) {
      for (const auto& [info, value] : ReadProfile(path, profile)) builder.Set(*info, value, Origin::kFile);
      SetFlagsAndEnvironment(builder);  // they win over the file that they named
    } else if (builder.settings().IsSet(options::kProfile)) {
      throw Error(ErrorCode::kInvalidArgument, "--profile needs --config: the profile is one of that file's");
    }
    if (builder.settings().Get(options::kDebug) && !Given(options::kLogLevel.info)) {
      builder.Set(options::kLogLevel.info, ParseOption(options::kLogLevel.info, {"debug"}), Origin::kFlag);
    }
    return builder.Take();
  }

 private:
  void SetFlagsAndEnvironment(SettingsBuilder& builder) const {
    for (const auto& [info, flag] : declared) {
      const std::string variable(info->environment);
      const char* text = variable.empty() ? nullptr : std::getenv(variable.c_str());
      if (flag->count() > 0) {
        Placed(std::string(info->flag), [&, info = info, flag = flag] {
          builder.Set(*info, ParseOption(*info, flag->results()), Origin::kFlag);
        });
      } else if (text != nullptr && *text != '\0') {
        Placed(variable, [&, info = info] { builder.Set(*info, ParseOption(*info, {text}), Origin::kEnvironment); });
      }
    }
  }
};

SettingsLoader::SettingsLoader(ProgramMask programs) : flags_(std::make_unique<Flags>()) {
  flags_->programs = programs;
}
SettingsLoader::~SettingsLoader() = default;
SettingsLoader::SettingsLoader(SettingsLoader&&) noexcept = default;

void SettingsLoader::AddFlags(CLI::App& app) {
  for (const OptionInfo* info : AllOptions()) {
    if ((info->programs & flags_->programs) == 0) continue;
    const std::string description = Description(*info);
    CLI::Option* flag = nullptr;
    if (info->type == OptionType::kBool || !info->when_true.empty()) {
      flag = app.add_flag(FlagNames(*info), description);
    } else {
      flag = app.add_option(FlagNames(*info), description)->type_name(ValueName(*info));
    }
    // All texts are kept; ParseOption takes the last one, or all for a list.
    flag->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    flags_->declared.emplace_back(info, flag);
  }
}

absl::StatusOr<Settings> SettingsLoader::Load() const {
  return Guard([&] { return flags_->Load(); });
}

absl::StatusOr<std::optional<Settings>> ParseDaemonCommandLine(ProgramMask program, const std::string& name,
                                                               const std::string& description, int argc,
                                                               const char* const* argv) {
  CLI::App app(description, name);
  app.allow_extras();  // CLI11's own refusal knows no nearest flag
  app.set_version_flag("--version", absl::StrCat(name, " ", kVersion));
  SettingsLoader loader(program);
  loader.AddFlags(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    app.exit(success, std::cout, std::cout);
    return std::optional<Settings>();
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(absl::StrCat(error.what(), " (", name, " --help lists the flags)"));
  }
  if (const auto refusal = UnplacedArgument(app)) return absl::InvalidArgumentError(*refusal);
  absl::StatusOr<Settings> settings = loader.Load();
  if (!settings.ok()) return settings.status();
  return std::optional<Settings>(*std::move(settings));
}

}  // namespace diptych
