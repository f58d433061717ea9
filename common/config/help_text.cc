#include "common/config/help_text.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace diptych {
namespace {

// Where things stand on the page.
struct Page {
  size_t columns = kHelpColumns;
  // Where the explanations begin; below their flags where there is no room beside.
  size_t help_column() const { return columns < 70 ? 6 : 26; }
};

constexpr std::string_view kPromptGroup = "Prompt";
constexpr std::string_view kPictureGroup = "Picture";
constexpr std::string_view kOutputGroup = "Output";
constexpr std::string_view kJobGroup = "Job";
constexpr std::string_view kFilterGroup = "Which jobs";
constexpr std::string_view kConnectionGroup = "Connection";
constexpr std::string_view kModelGroup = "Model";
constexpr std::string_view kPrivateGroup =
    "Model and daemons of this run alone (--model-path; without effect on a renderer that runs already)";
constexpr std::string_view kComputingGroup = "Computing";
constexpr std::string_view kQueueGroup = "Queue and kept pictures";
constexpr std::string_view kPreparationGroup = "Encoders and conditioning";
constexpr std::string_view kGeneralGroup = "General";

constexpr std::array kGroups = {kPromptGroup,    kPictureGroup, kOutputGroup,     kJobGroup,
                                kFilterGroup,    kModelGroup,   kConnectionGroup, kPreparationGroup,
                                kComputingGroup, kQueueGroup,   kPrivateGroup,    kGeneralGroup};

std::string_view GroupOfDaemonsFlag(const OptionInfo& info) {
  const std::string flag(info.flag), key(info.key);
  const auto has = [&](const char* part) { return absl::StrContains(flag, part); };
  if (absl::EndsWith(flag, "-path")) return kModelGroup;
  if (has("listen") || has("insecure") || has("connection") || has("peer") || has("tls-") || has("admin")) {
    return kConnectionGroup;
  }
  if (has("encoder-device")) return kComputingGroup;
  if (has("encode") || has("conditioning") || has("prompt-byte")) return kPreparationGroup;
  if (has("device") || has("dtype") || has("threads") || has("tile") || has("memory") || flag == "--batch" ||
      has("preview") || has("scheduler") || has("shift")) {
    return kComputingGroup;
  }
  if (absl::StartsWith(key, "render.")) return kQueueGroup;
  if (absl::StartsWith(key, "encoder.")) return kPreparationGroup;  // who waits for it
  return kGeneralGroup;
}

// The words of `text` in lines that begin at column `indent`; the first line stands at its place already.
std::string Wrapped(std::string_view text, size_t indent, const Page& page) {
  std::string lines;
  size_t column = indent;
  bool first = true;
  for (const absl::string_view word : absl::StrSplit(absl::string_view(text.data(), text.size()), ' ')) {
    if (!first && column + 1 + word.size() > page.columns) {
      absl::StrAppend(&lines, "\n", std::string(indent, ' '));
      column = indent;
      first = true;
    }
    absl::StrAppend(&lines, first ? "" : " ", word);
    column += word.size() + (first ? 0 : 1);
    first = false;
  }
  std::replace(lines.begin(), lines.end(), kNoBreak, ' ');
  return lines;
}

// Each line for itself; examples as they stand.
std::string WrappedLines(const std::string& text, const Page& page) {
  std::string lines;
  // A line that begins with a small letter goes on with the one before.
  std::string joined = text;
  for (size_t end = 0; (end = joined.find('\n', end)) != joined.npos; ++end) {
    if (end + 1 < joined.size() && absl::ascii_islower(joined[end + 1])) joined[end] = ' ';
  }
  for (const absl::string_view line : absl::StrSplit(joined, '\n')) {
    const bool stands = absl::StartsWith(line, " ") && page.columns >= kHelpColumns;  // an example
    const size_t indent = absl::StartsWith(line, " ") ? 6 : 0;
    absl::StrAppend(&lines, stands ? std::string(line) : Wrapped(std::string(line), indent, page), "\n");
  }
  while (absl::EndsWith(lines, "\n\n")) lines.pop_back();
  return lines;
}

// "--mode NAME" on more lines where there is no room for one, broken before the value and behind "|".
std::string FlagLines(const std::string& left, const Page& page) {
  std::string lines, line = "  ";
  for (size_t at = 0; at < left.size();) {
    const size_t end = std::min(left.find_first_of(" |", at), left.size() - 1) + 1;
    const std::string piece = left.substr(at, end - at);
    const size_t wanted = line.size() + piece.size() - (piece.back() == ' ' ? 1 : 0);
    if (wanted > page.columns && line.size() > page.help_column()) {
      absl::StrAppend(&lines, absl::StripTrailingAsciiWhitespace(line), "\n");
      line.assign(page.help_column(), ' ');
    }
    line += piece;
    at = end;
  }
  return lines + line;
}

std::string Row(const std::string& left, const std::string& help, const Page& page) {
  std::string row = page.columns < kHelpColumns ? FlagLines(left, page) : "  " + left;
  const size_t column = page.help_column();
  if (row.size() + 2 > column) {
    row += "\n" + std::string(column, ' ');
  } else {
    row.resize(column, ' ');
  }
  return absl::StrCat(row, Wrapped(help, column, page), "\n");
}

// "-o, --output FILE"
std::string FlagNames(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  const bool is_switch = option.get_expected_min() == 0;
  return absl::StrCat(absl::StrJoin(names, ", "), is_switch ? "" : " " + option.get_type_name());
}

}  // namespace

std::string_view HelpGroup(const OptionInfo& info, ProgramMask programs) {
  if ((programs & (kEncoderd | kRenderd)) != 0) return GroupOfDaemonsFlag(info);
  const ProgramMask own = info.programs & programs;
  const bool speaks_of_prompts =
      absl::StrContains(std::string(info.flag), "prompt") && info.flag != "--long-prompt-mode";
  if ((own & kCliPrompt) != 0 || ((own & kCliPicture) != 0 && speaks_of_prompts)) return kPromptGroup;
  if ((own & kCliPicture) != 0 || absl::StrContains(std::string(info.flag), "scheduler")) return kPictureGroup;
  if ((own & (kCliOutput | kCliGenerate | kCliPreview | kCliJson)) != 0) return kOutputGroup;
  if ((own & kCliQueue) != 0) return kJobGroup;
  if ((own & (kCliFilter | kCliSelect | kCliForce | kCliCaller)) != 0) return kFilterGroup;
  if ((own & kCliConnection) != 0) return kConnectionGroup;
  if ((own & (kCliPrivate | kCliTokenizer | kCliMachine)) != 0) {
    return (programs & kCliPrivate) != 0 ? kPrivateGroup : kModelGroup;
  }
  return kGeneralGroup;
}

std::string_view GroupAt(size_t place) { return place < kGroups.size() ? kGroups[place] : ""; }

std::string HelpText(const CLI::App& app, size_t columns) {
  const Page page{std::clamp(columns, kLeastHelpColumns, kHelpColumns)};
  std::string text = WrappedLines(app.get_description(), page);
  std::string arguments, usage = absl::StrCat("Usage: ", app.get_name(), " [flags]");
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const std::string name = option->get_name(true, false);
    const bool several = option->get_expected_max() > 1;
    const std::string shown = absl::StrCat(name, several ? "..." : "");
    absl::StrAppend(&usage, " ", option->get_required() ? shown : absl::StrCat("[", shown, "]"));
    absl::StrAppend(&arguments, Row(name, option->get_description(), page));
  }
  absl::StrAppend(&text, "\n", usage, "\n");
  if (!arguments.empty()) absl::StrAppend(&text, "\nArguments:\n", arguments);
  std::vector<std::string> groups;
  for (size_t place = 0; !GroupAt(place).empty(); ++place) groups.emplace_back(GroupAt(place));
  for (const std::string& group : app.get_groups()) {
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  }
  for (const std::string& group : groups) {
    std::string rows;
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_group() != group || !option->nonpositional()) continue;
      absl::StrAppend(&rows, Row(FlagNames(*option), option->get_description(), page));
    }
    if (!rows.empty()) absl::StrAppend(&text, "\n", Wrapped(group + ":", 0, page), "\n", rows);
  }
  absl::StrAppend(
      &text, "\n",
      Wrapped("[DIPTYCH_...] is the environment variable that stands for the flag. A flag goes before it, and "
              "it before the configuration file.",
              0, page),
      "\n");
  if (!app.get_footer().empty()) absl::StrAppend(&text, "\n", WrappedLines(app.get_footer(), page));
  return text;
}

}  // namespace diptych
