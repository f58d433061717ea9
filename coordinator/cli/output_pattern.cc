#include "coordinator/cli/output_pattern.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <functional>

#include "absl/strings/str_cat.h"
#include "common/files/temporary_name.h"
#include "common/prompt/utf8.h"
#include "coordinator/cli/command.h"

namespace diptych {
namespace {

constexpr size_t kMostOfPrompt = 80;     // bytes
constexpr size_t kSparedForNumber = 12;  // bytes: "-123" and the like

constexpr std::array<std::string_view, 8> kFields = {"seed", "index", "prompt", "date",
                                                     "time", "width", "height", "steps"};

std::string LocalTimeText(int64_t unix_s, const char* format) {
  const auto seconds = static_cast<std::time_t>(unix_s);
  std::tm parts = {};
  localtime_r(&seconds, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, format, &parts));
}

std::string FieldText(std::string_view field, const PictureFacts& facts, size_t prompt_bytes) {
  if (field == "seed") return std::to_string(facts.seed);
  if (field == "prompt") return PromptInName(facts.prompt, prompt_bytes);
  if (field == "date") return LocalTimeText(facts.unix_s, "%Y-%m-%d");
  if (field == "time") return LocalTimeText(facts.unix_s, "%H%M%S");
  if (field == "width") return std::to_string(facts.width);
  if (field == "height") return std::to_string(facts.height);
  if (field == "steps") return std::to_string(facts.steps);
  const std::string index = std::to_string(facts.index), last = std::to_string(facts.pictures);
  return std::string(last.size() - std::min(last.size(), index.size()), '0') + index;
}

// Letters, numbers, and pictures such as emoji; nothing that a terminal, a shell or a file system would take for a
// sign.
bool StandsInAName(char32_t code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
    case UTF8PROC_CATEGORY_SO:
      return true;
    default:
      return false;
  }
}

// "seed}, {index}, {prompt"
std::string FieldList() {
  std::string list;
  for (const std::string_view field : kFields) list += (list.empty() ? "" : "}, {") + std::string(field);
  return list;
}

// The pattern with `field` called for each {field}. Throws UsageError for what is no pattern.
std::string Replace(std::string_view pattern, const std::string& what,
                    const std::function<std::string(std::string_view)>& field) {
  const auto refuse = [&](const std::string& reason) {
    throw UsageError(absl::StrCat(what, " \"", std::string(pattern), "\": ", reason, "; a name may hold {", FieldList(),
                                  "}, and {{ for a brace"));
  };
  std::string text;
  for (size_t at = 0; at < pattern.size(); ++at) {
    const char c = pattern[at];
    if (c != '{' && c != '}') {
      text += c;
    } else if (at + 1 < pattern.size() && pattern[at + 1] == c) {
      text += c;
      ++at;
    } else if (c == '}') {
      refuse("\"}\" ends no field");
    } else {
      const size_t end = pattern.find('}', at);
      if (end == pattern.npos) refuse("\"{\" begins a field that does not end");
      const std::string_view name = pattern.substr(at + 1, end - at - 1);
      if (std::find(kFields.begin(), kFields.end(), name) == kFields.end()) {
        refuse(absl::StrCat("there is no field {", std::string(name), "}"));
      }
      text += field(name);
      at = end;
    }
  }
  return text;
}

}  // namespace

bool HasFields(std::string_view pattern, const std::string& what) {
  bool found = false;
  Replace(pattern, what, [&](std::string_view) {
    found = true;
    return std::string();
  });
  return found;
}

std::string ExpandPattern(std::string_view pattern, const PictureFacts& facts) {
  size_t prompt_bytes = kMostOfPrompt;
  while (true) {
    const std::string text =
        Replace(pattern, "", [&](std::string_view field) { return FieldText(field, facts, prompt_bytes); });
    const std::filesystem::path path(text);
    const size_t limit = LongestFileName(path.parent_path()), used = path.filename().string().size() + kSparedForNumber;
    if (used <= limit || prompt_bytes <= 1) return text;
    --prompt_bytes;
  }
}

std::string PromptInName(std::string_view prompt, size_t limit) {
  std::string name;
  for (size_t at = 0; at < prompt.size() && name.size() <= limit;) {
    const Utf8Character character = ReadUtf8Character(prompt, at);
    const std::string_view bytes = prompt.substr(at, character.bytes);
    at += character.bytes;
    const bool letter = bytes == "_" || (character.valid && StandsInAName(character.code_point));
    if (letter) {
      name += bytes;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  name = std::string(CutText(name, limit));
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? std::string(CutText("picture", limit)) : name;
}

}  // namespace diptych
