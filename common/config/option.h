// What one configuration key is. The keys themselves are declared in options.cc, each once; the TOML reader, the flags,
// the help, the example file and docs/configuration.md all follow from these rows.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace diptych {

// Who takes a key: a set of bits. A command of the CLI adds up the groups that it needs.
using ProgramMask = uint32_t;
inline constexpr ProgramMask kEncoderd = 1u << 0;
inline constexpr ProgramMask kRenderd = 1u << 1;
inline constexpr ProgramMask kCliCommon = 1u << 2;  // every command: --config, --profile, --log-level
inline constexpr ProgramMask kCliConnection =
    1u << 3;                                        // commands that talk to a renderer: --render, --timeout, --insecure
inline constexpr ProgramMask kCliJson = 1u << 4;    // commands with a machine-readable result: --json
inline constexpr ProgramMask kCliPrompt = 1u << 5;  // the parts of the prompt: generate, submit, tokens
inline constexpr ProgramMask kCliPicture = 1u << 6;     // the rest of what determines a picture: generate, submit
inline constexpr ProgramMask kCliQueue = 1u << 7;       // labels of a job: generate, submit
inline constexpr ProgramMask kCliOutput = 1u << 8;      // --output: generate, fetch
inline constexpr ProgramMask kCliGenerate = 1u << 9;    // generate alone: --save-embeddings
inline constexpr ProgramMask kCliPrivate = 1u << 10;    // daemons of its own: generate alone
inline constexpr ProgramMask kCliTokenizer = 1u << 11;  // --model-path, --text-encoder-path: generate, doctor, tokens
inline constexpr ProgramMask kCliMachine = 1u << 12;    // the rest of a checkpoint, --threads: generate, doctor
inline constexpr ProgramMask kCliPreview = 1u << 13;    // commands that watch a job: generate, watch
inline constexpr ProgramMask kCliFilter = 1u << 14;     // which jobs: jobs alone
inline constexpr ProgramMask kCliSelect = 1u << 24;     // which jobs, in place of their ids: watch, fetch, cancel, rm
inline constexpr ProgramMask kCliForce = 1u << 25;      // what is of others: cancel, rm, resume
inline constexpr ProgramMask kCliCaller = 1u << 26;     // who asks: commands on existing jobs and on the queue
inline constexpr ProgramMask kCliFit = 1u << 27;        // the size of a file: fetch
inline constexpr ProgramMask kCliModels = 1u << 28;     // files of weights: models
// No program: a JSON line of a prompt file, which may say what differs from picture to picture.
inline constexpr ProgramMask kPromptLine = 1u << 15;
inline constexpr ProgramMask kCliAll = kCliCommon | kCliConnection | kCliJson | kCliPrompt | kCliPicture | kCliQueue |
                                       kCliOutput | kCliGenerate | kCliPrivate | kCliTokenizer | kCliMachine |
                                       kCliPreview | kCliFilter | kCliSelect | kCliForce | kCliCaller | kCliFit | kCliModels;
inline constexpr ProgramMask kEveryProgram = kEncoderd | kRenderd | kCliCommon;

// The types that a value may have. The optional ones have no default: unset means "somebody else decides".
using OptionValue = std::variant<bool, int64_t, double, std::string, std::vector<std::string>, std::optional<int64_t>,
                                 std::optional<double>, std::optional<uint64_t>>;
enum class OptionType {  // same order
  kBool,
  kInteger,
  kNumber,
  kText,
  kTextList,
  kOptionalInteger,
  kOptionalNumber,
  kOptionalUnsigned,  // every value of 64 bits is legal
};

// One row of the table. Texts are literals.
struct OptionInfo {
  std::string_view key = "";      // in a profile of the TOML file: "name" or "section.name"; empty: not in the file
  std::string_view flag = "";     // "--model-path"
  std::string_view aliases = "";  // other spellings of the flag, comma-separated: "-v,--verbose"
  // Why there is no environment variable of the flag's name; empty: there is one.
  std::string_view no_environment = "";
  std::string_view default_text = "";  // as it would be written after the flag; empty for the optional types: unset
  std::string_view choices = "";       // legal texts, comma-separated; empty: any
  // kText: the choices that true and false mean. The flag is then a switch: it may stand alone, for true, and another
  // value follows behind "=".
  std::string_view when_true = "", when_false = "";
  int64_t least = std::numeric_limits<int64_t>::min();          // kInteger, kOptionalInteger: smallest legal value ...
  int64_t most = std::numeric_limits<int64_t>::max();           // ... and largest
  int64_t multiple = 1;                                         // a legal integer is a multiple of this
  double least_number = std::numeric_limits<double>::lowest();  // the same for kNumber, kOptionalNumber
  double most_number = std::numeric_limits<double>::max();
  // "px", "s", "bytes"; shown as the value's name in the help. FILE, DIR and PATH make it a path, in which "~" is the
  // home folder.
  std::string_view unit = "";
  std::string_view instead = "";  // what to do in place of an illegal value: "leave it out for a random seed"
  std::string_view member = "";   // of PictureSpec, that the option sets (common/picture/picture_spec.h)
  std::string_view help = "";     // one sentence without a full stop
  ProgramMask programs = 0;
  OptionType type = OptionType::kText;  // set by Option<T>
};

// A row with the type of its value: Settings::Get(options::kSteps) is an int64_t.
template <typename T>
struct Option {
  explicit constexpr Option(OptionInfo row) : info(row) { info.type = Type(); }
  OptionInfo info;

  static constexpr OptionType Type() {
    if constexpr (std::is_same_v<T, bool>) return OptionType::kBool;
    if constexpr (std::is_same_v<T, int64_t>) return OptionType::kInteger;
    if constexpr (std::is_same_v<T, double>) return OptionType::kNumber;
    if constexpr (std::is_same_v<T, std::string>) return OptionType::kText;
    if constexpr (std::is_same_v<T, std::vector<std::string>>) return OptionType::kTextList;
    if constexpr (std::is_same_v<T, std::optional<int64_t>>) return OptionType::kOptionalInteger;
    if constexpr (std::is_same_v<T, std::optional<double>>) return OptionType::kOptionalNumber;
    if constexpr (std::is_same_v<T, std::optional<uint64_t>>) return OptionType::kOptionalUnsigned;
  }
};

}  // namespace diptych
