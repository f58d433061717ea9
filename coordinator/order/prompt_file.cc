#include "coordinator/order/prompt_file.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/options.h"
#include "common/config/unknown_name.h"
#include "common/config/value_text.h"
#include "common/error/error.h"
#include "common/files/temporary_name.h"
#include "common/json/bounded_json.h"
#include "common/prompt/prompt_text.h"
#include "coordinator/order/seed_list.h"
#include "coordinator/order/wrong_wish.h"
#include "coordinator/text_input.h"

namespace diptych {
namespace {

using nlohmann::json;

constexpr std::string_view kBlanks = " \t\r\v\f";
constexpr size_t kShownBytes = 60;  // of a line in a message
constexpr char kPrompt[] = "prompt";
constexpr JsonBounds kLine{.depth = 2, .values = 20'000};  // the object, and a list in it

std::vector<const OptionInfo*> LineOptions() {
  std::vector<const OptionInfo*> rows;
  for (const OptionInfo* info : AllOptions()) {
    if ((info->programs & kPromptLine) != 0) rows.push_back(info);
  }
  return rows;
}

// The rows by every name that a line may use: flag and long aliases, without dashes.
const std::map<std::string, const OptionInfo*>& RowsByKey() {
  static const std::map<std::string, const OptionInfo*> rows = [] {
    std::map<std::string, const OptionInfo*> by_key;
    for (const OptionInfo* info : LineOptions()) {
      by_key.emplace(BareName(info->flag), info);
      for (const std::string& alias : SplitCommas(info->aliases)) {
        if (alias.rfind("--", 0) == 0) by_key.emplace(BareName(alias), info);
      }
    }
    return by_key;
  }();
  return rows;
}

[[noreturn]] void Refuse(const std::string& reason) { throw Error(ErrorCode::kInvalidArgument, reason); }

[[noreturn]] void RefuseKey(const std::string& key) {
  std::vector<std::string> names = {kPrompt};
  for (const auto& [name, info] : RowsByKey()) names.push_back(name);
  std::optional<std::string> meant = NearestKey(key, names);
  for (const OptionInfo* info : LineOptions()) {  // "num_inference_steps": the name in the configuration file
    if (!info->key.empty() && BareName(info->key) == BareName(key)) meant = BareName(info->flag);
  }
  Refuse(absl::StrCat("unknown key ", json(key).dump(),
                      meant ? absl::StrCat("; did you mean \"", *meant, "\"?")
                            : absl::StrCat("; a line may hold ", absl::StrJoin(names, ", "))));
}

// The text that would follow the flag. Throws for a value of another kind than the row's.
std::string ValueText(const OptionInfo& info, const json& value) {
  bool fits = value.is_number();
  if (info.type == OptionType::kBool) fits = value.is_boolean();
  if (info.type == OptionType::kText || info.type == OptionType::kTextList) fits = value.is_string();
  if (!fits) Refuse(absl::StrCat(JsonExcerpt(value), " must be ", LegalValues(info)));
  return value.is_string() ? value.get<std::string>() : value.dump();
}

OptionValue ReadSeeds(const json& value) {
  std::vector<std::string> parts;
  for (const json& seed : value.is_array() ? value : json::array({value})) {
    if (!seed.is_number_unsigned() && !seed.is_string()) {
      Refuse(absl::StrCat(JsonExcerpt(seed), " must be a seed, or a text such as \"7,11,20-23\""));
    }
    parts.push_back(seed.is_string() ? seed.get<std::string>() : seed.dump());
  }
  const std::string text = absl::StrJoin(parts, ",");
  ParseSeeds(text);
  return text;
}

OptionValue ReadValue(const OptionInfo& info, const json& value) {
  if (&info == &options::kSeeds.info) return ReadSeeds(value);
  std::vector<std::string> texts;
  if (info.type == OptionType::kTextList && value.is_array()) {
    for (const json& part : value) texts.push_back(ValueText(info, part));
    if (texts.empty()) Refuse("the empty list names nothing");
  } else {
    texts.push_back(ValueText(info, value));
  }
  return ParseOption(info, texts);
}

void ReadKey(const std::string& key, const json& value, PromptLine& line) {
  const auto row = RowsByKey().find(key);
  if (row == RowsByKey().end()) RefuseKey(key);
  std::vector<std::pair<const OptionInfo*, OptionValue>> values;
  try {
    if (row->second == &options::kSize.info) {  // short for two
      values = SidesOf(ValueText(*row->second, value));
    } else {
      values.emplace_back(row->second, ReadValue(*row->second, value));
    }
  } catch (const WrongWish&) {  // of a list of seeds, which names itself
    throw;
  } catch (const Error& error) {
    Refuse(absl::StrCat(key, ": ", error.what()));
  }
  for (const auto& [info, read] : values) {
    for (const auto& [earlier, ignored] : line.values) {
      if (earlier == info) Refuse(absl::StrCat("\"", key, "\" says again what another key of the line says"));
    }
    line.values.emplace_back(info, read);
  }
}

// What to write instead of a line that begins with a brace and is no object of ours.
std::string WayOut(std::string_view text) {
  std::string shown(CutText(text, kShownBytes));
  if (shown.size() < text.size()) shown += "...";
  return absl::StrCat(
      "; a JSON object stands whole on one line, and a prompt that begins with \"{\" is written {\"prompt\": ",
      json(shown).dump(-1, ' ', false, json::error_handler_t::replace), "}");
}

json ParseObject(std::string_view text) {
  try {
    return ParseStrictJson(text, "the JSON object", kLine);
  } catch (const Error& error) {
    Refuse(error.what() + WayOut(text));
  }
}

void ReadObject(std::string_view text, PromptLine& line) {
  const json object = ParseObject(text);
  const auto prompt = object.find(kPrompt);
  if (prompt == object.end()) Refuse(absl::StrCat("the JSON object has no key \"prompt\"", WayOut(text)));
  for (const auto& [key, value] : object.items()) {
    if (key != kPrompt) ReadKey(key, value, line);
  }
  if (!prompt->is_string()) Refuse(absl::StrCat("prompt: ", JsonExcerpt(*prompt), " must be a text"));
  line.prompt = prompt->get<std::string>();
}

// Of objects or texts; "[a cat]" is a prompt.
bool IsJsonList(std::string_view text) {
  if (text[text.find_first_not_of(kBlanks)] != '[') return false;
  const json list = JsonOrDiscarded(text, {.bytes = text.size(), .values = 1'000'000});
  return list.is_array() && !list.empty() && (list[0].is_object() || list[0].is_string());
}

constexpr char kNoList[] = "a JSON list; write its entries without brackets and commas, each on one line (jq -c '.[]')";

PromptLine ReadLine(std::string_view text, const std::string& place) {
  PromptLine line;
  line.place = place;
  try {
    CheckUtf8("the line", text);
    if (text[text.find_first_not_of(kBlanks)] == '{') {
      ReadObject(text, line);
    } else if (IsJsonList(text)) {
      Refuse(kNoList);
    } else {
      line.prompt = text;
    }
  } catch (const std::exception& error) {
    throw WrongWish(absl::StrCat(place, ": ", error.what()));
  }
  return line;
}

// "# red" is a comment; "#1 dad" may have been meant as a prompt.
bool IsMaybeAPrompt(std::string_view comment) {
  return comment.size() > 1 && comment[1] != '#' && comment[1] != '!' && kBlanks.find(comment[1]) == kBlanks.npos;
}

std::string CommentNote(const std::string& place, std::string_view comment) {
  std::string shown(CutText(comment, kShownBytes));
  if (shown.size() < comment.size()) shown += "...";
  return absl::StrCat(place, ": a line that begins with \"#\" is a comment; as a prompt it is written {\"prompt\": ",
                      json(shown).dump(-1, ' ', false, json::error_handler_t::replace), "}");
}

// The whole file is one list, as programs write it.
bool IsListOverLines(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n\v\f");
  if (begin == text.npos || text[begin] != '[' || text.find_first_of("\r\n", begin) == text.npos) return false;
  return IsJsonList(text.substr(begin));
}

}  // namespace

std::vector<PromptLine> ParsePromptFile(std::string_view text, const std::string& name,
                                        std::vector<std::string>* notes) {
  try {
    text = PlainText(text, name);
  } catch (const Error& error) {
    throw WrongWish(error.what());
  }
  const char line_end = text.find('\n') == text.npos ? '\r' : '\n';  // CR alone: old Macs, and some exports
  if (IsListOverLines(text)) throw WrongWish(absl::StrCat(name, ": ", kNoList));
  std::vector<PromptLine> lines;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find(line_end);
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const size_t begin = line.find_first_not_of(kBlanks);
    if (begin == line.npos) continue;
    const std::string place = absl::StrCat(name, ":", number);
    if (line[begin] == '#') {
      if (notes != nullptr && IsMaybeAPrompt(line.substr(begin)))
        notes->push_back(CommentNote(place, line.substr(begin)));
      continue;
    }
    if (lines.size() == kMaxPictures) {
      throw WrongWish(absl::StrCat(place, ": more than ", kMaxPictures, " prompts, the limit for one command"));
    }
    lines.push_back(ReadLine(line, place));
  }
  if (lines.empty()) throw WrongWish(name + " holds no prompt: every line is blank or a comment");
  return lines;
}

}  // namespace diptych
