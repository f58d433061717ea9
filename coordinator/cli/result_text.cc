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

ordered_json FitJson(const std::optional<PromptFitView>& fit) {
  if (!fit) return nullptr;
  return {{"token_count", fit->token_count}, {"rows", fit->rows}};
}

ordered_json PlaceJson(const std::optional<QueuePlaceView>& place) {
  if (!place) return nullptr;
  return {{"jobs_ahead", place->jobs_ahead},
          {"others_ahead", place->others_ahead},
          {"wait_ms", place->wait_ms ? ordered_json(*place->wait_ms) : ordered_json()},
          {"held_up", place->held_up},
          {"pause", place->pause ? PauseJson(*place->pause) : ordered_json()}};
}

}  // namespace

ordered_json PauseJson(const QueuePauseView& pause) {
  return {{"by", pause.by}, {"since_unix_ms", pause.since_unix_ms}};
}

// r is how many tokens there are for one row, as llm-dit-experiments logs it.
std::optional<std::string> ShortenedPrompt(const std::string& which, const PromptFitView& fit, LongPromptMode mode) {
  if (fit.rows < 1 || fit.token_count <= fit.rows) return std::nullopt;
  return absl::StrFormat("the %s was %s: %d tokens, %d rows (%s, r = %.2f)", which,
                         mode == LongPromptMode::kTruncate ? "truncated" : "compressed", fit.token_count, fit.rows,
                         std::string(LongPromptModeName(mode)),
                         static_cast<double>(fit.token_count) / static_cast<double>(fit.rows));
}

std::vector<std::string> ShortenedPrompts(const JobView& job) {
  std::vector<std::string> lines;
  const auto add = [&](const char* which, const std::optional<PromptFitView>& fit) {
    if (!fit) return;
    if (auto line = ShortenedPrompt(which, *fit, job.long_prompt_mode)) lines.push_back(*std::move(line));
  };
  add("prompt", job.prompt_fit);
  add("negative prompt", job.negative_fit);
  return lines;
}

ordered_json TimingsJson(const StageTimings& timings) {
  return {{"queue_ms", timings.queue_ms},   {"encode_ms", timings.encode_ms}, {"transfer_ms", timings.transfer_ms},
          {"refine_ms", timings.refine_ms}, {"step_ms", timings.step_ms},     {"decode_ms", timings.decode_ms},
          {"png_ms", timings.png_ms},       {"total_ms", timings.total_ms}};
}

ordered_json JobJson(const JobView& job) {
  return {
      {"id", job.id},
      {"state", std::string(JobStateText(job.state))},
      {"client", job.client},
      {"priority", job.priority},
      {"prompt", job.prompt},
      {"prompt_shortened", job.prompt_shortened},
      {"width", job.width},
      {"height", job.height},
      {"seed", job.seed},
      {"step", job.step},
      {"steps", job.steps},
      {"sigma", job.sigma},
      {"left_ms", job.left_ms ? ordered_json(*job.left_ms) : ordered_json()},
      {"error", job.error},
      {"error_code", job.error_code},
      {"detail", job.detail},
      {"place", PlaceJson(job.place)},
      {"decoding", job.tiles > 0 ? ordered_json{{"tiles_done", job.tiles_done}, {"tiles", job.tiles}} : ordered_json()},
      {"until_done_ms", job.until_done_ms ? ordered_json(*job.until_done_ms) : ordered_json()},
      {"deadline_unix_ms", job.deadline_unix_ms},
      {"attempt", job.attempt},
      {"accepted_unix_ms", job.accepted_unix_ms},
      {"finished_unix_ms", job.finished_unix_ms},
      {"prompt_fit", FitJson(job.prompt_fit)},
      {"negative_fit", FitJson(job.negative_fit)},
      {"timings", TimingsJson(job.timings)}};
}

std::string TimingsLine(const StageTimings& timings) {
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
