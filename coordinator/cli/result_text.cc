#include "coordinator/cli/result_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/foreign_text/escape.h"
#include "common/prompt/utf8.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

// One character of a text as a terminal shows it.
struct Shown {
  std::string text;  // a space for what cannot be shown
  size_t columns = 0;
  size_t bytes = 0;  // of the text it stands for
};

Shown ShowCharacter(const std::string& text, size_t at) {
  const Utf8Character character = ReadUtf8Character(text, at);
  if (!character.valid || IsControl(character.code_point)) return {" ", 1, character.bytes};
  const int columns = utf8proc_charwidth(static_cast<utf8proc_int32_t>(character.code_point));
  return {text.substr(at, character.bytes), static_cast<size_t>(std::max(columns, 0)), character.bytes};
}

double MeanMs(const std::vector<double>& ms) {
  return ms.empty() ? 0 : std::accumulate(ms.begin(), ms.end(), 0.0) / static_cast<double>(ms.size());
}

}  // namespace

// r is how many tokens there are for one row, as llm-dit-experiments logs it.
std::optional<std::string> ShortenedPrompt(const std::string& which, const PromptFit& fit, LongPromptMode mode) {
  if (fit.rows < 1 || fit.token_count <= fit.rows) return std::nullopt;
  return absl::StrFormat("the %s was %s: %d tokens, %d rows (%s, r = %.2f)", which,
                         mode == LongPromptMode::kTruncate ? "truncated" : "compressed", fit.token_count, fit.rows,
                         std::string(LongPromptModeName(mode)),
                         static_cast<double>(fit.token_count) / static_cast<double>(fit.rows));
}

std::vector<std::string> ShortenedPrompts(const JobView& job) {
  std::vector<std::string> lines;
  const auto add = [&](const char* which, const std::optional<PromptFit>& fit) {
    if (!fit) return;
    if (auto line = ShortenedPrompt(which, *fit, job.long_prompt_mode)) lines.push_back(*std::move(line));
  };
  add("prompt", job.fits.prompt);
  add("negative prompt", job.fits.negative);
  return lines;
}

std::string TimingsLine(const JobTimings& timings) {
  const auto seconds = [](double ms) { return absl::StrFormat("%.2f s", ms / 1000); };
  return absl::StrCat("queue ", seconds(timings.queue_ms), ", encode ", seconds(timings.encode_ms), ", transfer ",
                      seconds(timings.transfer_ms), ", refine ", seconds(timings.refine_ms), ", ",
                      timings.step_ms.size(), timings.step_ms.size() == 1 ? " step of " : " steps of ",
                      seconds(MeanMs(timings.step_ms)), ", decode ", seconds(timings.decode_ms), ", png ",
                      seconds(timings.png_ms), ", total ", seconds(timings.total_ms));
}

std::string Wrapped(const std::string& list, size_t columns, const std::string& indent) {
  if (columns == 0) return indent + list;
  std::string text, line = indent;
  for (const absl::string_view item : absl::StrSplit(list, absl::ByString(", "))) {
    const std::string more = absl::StrCat(line.size() > indent.size() ? ", " : "", item);
    if (line.size() > indent.size() && TextColumns(line + more) + 1 > columns) {  // and room for the comma
      absl::StrAppend(&text, line, ",\n");
      line = absl::StrCat(indent, item);
    } else {
      line += more;
    }
  }
  return text + line;
}

namespace {

// Where what follows a line that is broken stands: below its second part, or a little further in than its beginning.
size_t HangOf(const std::string& line, size_t columns) {
  const size_t begin = std::min(line.find_first_not_of(' '), line.size());
  const size_t gap = line.find("  ", begin);
  const size_t part = gap == line.npos ? line.npos : line.find_first_not_of(' ', gap);
  return part != line.npos && part <= columns / 3 ? part : begin + 2;
}

void ReflowLine(const std::string& line, size_t columns, std::string& text) {
  if (TextColumns(line) <= columns) {
    text += line;
    return;
  }
  const std::string hang(HangOf(line, columns), ' ');
  std::string row;
  for (size_t at = 0; at < line.size();) {
    const size_t word = std::min(line.find_first_not_of(' ', at), line.size());
    const size_t end = std::min(line.find(' ', word), line.size());
    const bool is_first = row.find_first_not_of(' ') == row.npos;
    if (!is_first && TextColumns(row) + TextColumns(line.substr(at, end - at)) > columns) {
      absl::StrAppend(&text, row, "\n");
      row = absl::StrCat(hang, line.substr(word, end - word));
    } else {
      row += line.substr(at, end - at);
    }
    at = end;
  }
  text += row;
}

}  // namespace

std::string Reflowed(const std::string& text, size_t columns) {
  if (columns == 0) return text;
  std::string reflowed;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    ReflowLine(text.substr(at, end - at), columns, reflowed);
    if (end < text.size()) reflowed += '\n';
    at = end + 1;
  }
  return reflowed;
}

std::string OneLine(const std::string& text, size_t columns) {
  std::string line;
  size_t used = 0;
  size_t cut = 0;  // bytes of the line that leave room for the dots
  for (size_t at = 0; at < text.size();) {
    const Shown shown = ShowCharacter(text, at);
    if (used + shown.columns > columns) return line.substr(0, cut) + std::string(std::min<size_t>(columns, 3), '.');
    line += shown.text;
    used += shown.columns;
    if (used + 3 <= columns) cut = line.size();
    at += shown.bytes;
  }
  return line;
}

size_t TextColumns(const std::string& text) {
  size_t columns = 0;
  for (size_t at = 0; at < text.size();) {
    const Shown shown = ShowCharacter(text, at);
    columns += shown.columns;
    at += shown.bytes;
  }
  return columns;
}

std::string LocalTime(int64_t unix_ms) {
  const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm fields{};
  localtime_r(&seconds, &fields);
  char text[40];
  std::string result(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &fields));
  if (result.size() > 2) result.insert(result.size() - 2, ":");  // +0000 -> +00:00
  return result;
}

std::string JsonLine(const ordered_json& json) {
  return EscapeJson(json.dump(-1, ' ', false, ordered_json::error_handler_t::replace)) + "\n";
}

}  // namespace diptych
