// The file of --prompts: one prompt a line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/config/settings.h"

namespace diptych {

// One prompt, with what its line says of its pictures.
struct PromptLine {
  std::string place;  // "prompts.jsonl:3"
  std::string prompt;
  std::vector<Settings::Change> values;  // each has one; rows that are marked kPromptLine
};

// A line whose first character is "{" (after blanks) is a JSON object: `prompt`, and whatever flags are marked
// kPromptLine, by their names without dashes ("negative_prompt"). One that begins with "#" is a comment. Any other line
// is a prompt as it stands, byte for byte without its end (LF or CRLF; CR in a file without any LF). Blank lines do not
// count, nor does a byte order mark. What begins with "{" or "#" and is to be a prompt is written as an object.
// `notes`, when given, hears of comments that may have been meant as prompts.
// Throws WrongWish that begins with `name` and the line's number: text that is not UTF-8, broken JSON, an unknown key,
// a value of the wrong type or out of range; for objects and lists over several lines; and for a file without a prompt.
std::vector<PromptLine> ParsePromptFile(std::string_view text, const std::string& name,
                                        std::vector<std::string>* notes = nullptr);

}  // namespace diptych
