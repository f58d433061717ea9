#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/config/config_search.h"
#include "common/config/environment_names.h"
#include "common/config/help_text.h"
#include "common/config/misplaced_value.h"
#include "common/config/options.h"
#include "common/config/profile_file.h"
#include "common/config/settings.h"
#include "common/config/settings_builder.h"
#include "common/config/unknown_name.h"
#include "common/config/value_text.h"
#include "common/error/error.h"
#include "common/error/status.h"
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
    case OptionType::kOptionalUnsigned:
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
    absl::StrAppend(&text, " (default", std::string(1, kNoBreak), std::string(info.default_text), ")");
  }
  if (const std::string name = EnvironmentName(info); !name.empty()) absl::StrAppend(&text, " [", name, "]");
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

  Settings Load() const {
    SettingsBuilder builder;
    SetFlagsAndEnvironment(builder);
    ReadConfig(builder);
    SetSize(builder);
    SetLogLevel(builder);
    for (const std::string& line : UnknownVariables()) builder.Warn(line);
    return builder.Take();
  }

 private:
  void SetFlagsAndEnvironment(SettingsBuilder& builder) const {
    for (const auto& [info, flag] : declared) {
      if (flag->count() > 0) {
        Placed(std::string(info->flag), [&, info = info, flag = flag] {
          builder.Set(*info, ParseOption(*info, flag->results()), Origin::kFlag);
        });
      } else if (const auto variable = Variable(*info)) {
        Placed(variable->first,
               [&, info = info] { builder.Set(*info, ParseOption(*info, {variable->second}), Origin::kEnvironment); });
      }
    }
  }

  // Name and text of the variable that counts for this row. An empty one is as good as none.
  static std::optional<std::pair<std::string, std::string>> Variable(const OptionInfo& info) {
    for (const std::string& name : EnvironmentNames(info)) {
      const char* text = std::getenv(name.c_str());
      if (text != nullptr && *text != '\0') return std::pair(name, std::string(text));
    }
    return std::nullopt;
  }

  // The file that is named, else the one that is found.
  void ReadConfig(SettingsBuilder& builder) const {
    const Settings& settings = builder.settings();
    const Origin origin = settings.OriginOf(options::kConfig);
    std::string path = settings.Get(options::kConfig);
    const bool named = origin != Origin::kDefault;
    if (!named) path = FindConfig(ConfigPlaces());
    if (path == kNoConfig) path.clear();
    if (path.empty()) {
      builder.Set(options::kConfig.info, std::string(), origin);
      if (settings.IsSet(options::kProfile)) {
        throw Error(ErrorCode::kInvalidArgument, absl::StrCat(settings.OriginOf(options::kProfile) == Origin::kFlag
                                                                  ? std::string(options::kProfile.info.flag)
                                                                  : EnvironmentName(options::kProfile.info),
                                                              " needs --config: the profile is one of that file's"));
      }
      return;
    }
    const auto read = [&] { return ReadProfile(path, settings.Get(options::kProfile)); };
    try {
      for (const auto& [info, value] : read()) builder.Set(*info, value, Origin::kFile);
    } catch (const Error& error) {
      if (named) throw;
      throw Error(error.code(), absl::StrCat(error.what(), " (it is looked for there; --config none reads none)"));
    }
    SetFlagsAndEnvironment(builder);  // they win over the file
    builder.Set(options::kConfig.info, path, named ? origin : Origin::kFile);
  }

  // --size is short for both sides; a side that is said in a stronger place is stronger.
  static void SetSize(SettingsBuilder& builder) {
    const Settings& settings = builder.settings();
    const Origin origin = settings.OriginOf(options::kSize);
    if (origin == Origin::kDefault) return;
    const std::string place =
        origin == Origin::kFlag ? std::string(options::kSize.info.flag) : EnvironmentName(options::kSize.info);
    Placed(place, [&] {
      for (const auto& [info, value] : SidesOf(settings.Get(options::kSize))) {
        const Origin side = settings.OriginOf(*info);
        if (side == Origin::kFlag && origin == Origin::kFlag) {
          throw Error(ErrorCode::kInvalidArgument,
                      absl::StrCat("says again what ", std::string(info->flag), " says; leave one of them out"));
        }
        if (side <= origin) builder.Set(*info, value, origin);
      }
    });
  }

  // --debug is short for the log level, where no flag says one; from the environment where the environment says none.
  static void SetLogLevel(SettingsBuilder& builder) {
    const Settings& settings = builder.settings();
    const Origin origin = settings.OriginOf(options::kDebug);
    if (!settings.Get(options::kDebug) || settings.OriginOf(options::kLogLevel) >= origin) return;
    builder.Set(options::kLogLevel.info, ParseOption(options::kLogLevel.info, {"debug"}), origin);
  }
};

SettingsLoader::SettingsLoader(ProgramMask programs) : flags_(std::make_unique<Flags>()) {
  flags_->programs = programs;
}
SettingsLoader::~SettingsLoader() = default;
SettingsLoader::SettingsLoader(SettingsLoader&&) noexcept = default;

void SettingsLoader::AddFlags(CLI::App& app) {
  if (CLI::Option* help = app.get_help_ptr()) help->group("General")->description("print this help and exit");
  for (const OptionInfo* info : AllOptions()) {
    if ((info->programs & flags_->programs) == 0) continue;
    const std::string description = Description(*info);
    CLI::Option* flag = nullptr;
    if (info->type == OptionType::kBool || !info->when_true.empty()) {
      flag = app.add_flag(FlagNames(*info), description);
    } else {
      flag = app.add_option(FlagNames(*info), description)->type_name(ValueName(*info));
    }
    flag->group(std::string(HelpGroup(*info, flags_->programs)));
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
  app.set_version_flag("--version", absl::StrCat(name, " ", kVersion), "print the version and exit")->group("General");
  SettingsLoader loader(program);
  loader.AddFlags(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << HelpText(app) << std::flush;
    return std::optional<Settings>();
  } catch (const CLI::Success& success) {  // --version
    app.exit(success, std::cout, std::cout);
    return std::optional<Settings>();
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(absl::StrCat(error.what(), " (", name, " --help lists the flags)"));
  }
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (const auto refusal = MisplacedValue(app, arguments)) return absl::InvalidArgumentError(*refusal);
  if (const auto refusal = UnplacedArgument(app)) return absl::InvalidArgumentError(*refusal);
  absl::StatusOr<Settings> settings = loader.Load();
  if (!settings.ok()) return settings.status();
  return std::optional<Settings>(*std::move(settings));
}

}  // namespace diptych
