#include "coordinator/cli/result_text.h"

#include <ctime>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/prompt/utf8.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

double MeanMs(const std::vector<double>& ms) {
  return ms.empty() ? 0 : std::accumulate(ms.begin(), ms.end(), 0.0) / static_cast<double>(ms.size());
}

}  // namespace

ordered_json TimingsJson(const StageTimings& timings) {
  return {{"queue_ms", timings.queue_ms},   {"encode_ms", timings.encode_ms}, {"transfer_ms", timings.transfer_ms},
          {"refine_ms", timings.refine_ms}, {"step_ms", timings.step_ms},     {"decode_ms", timings.decode_ms},
          {"png_ms", timings.png_ms},       {"total_ms", timings.total_ms}};
}

ordered_json JobJson(const JobView& job) {
  return {{"id", job.id},
          {"state", std::string(JobStateText(job.state))},
          {"client", job.client},
          {"priority", job.priority},
          {"prompt", job.prompt},
          {"width", job.width},
          {"height", job.height},
          {"seed", job.seed},
          {"step", job.step},
          {"steps", job.steps},
          {"error", job.error},
          {"error_code", job.error_code},
          {"detail", job.detail},
          {"attempt", job.attempt},
          {"accepted_unix_ms", job.accepted_unix_ms},
          {"finished_unix_ms", job.finished_unix_ms},
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

std::string OneLine(const std::string& text, size_t columns) {
  std::string line;
  size_t used = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = ReadUtf8Character(text, at);
    const bool control = character.code_point < 0x20 || (character.code_point >= 0x7F && character.code_point < 0xA0);
    if (used + 3 >= columns && text.size() - at > 3) return line + "...";
    if (!character.valid || control) {
      line += ' ';
    } else {
      line += text.substr(at, character.bytes);
    }
    at += character.bytes;
    ++used;
  }
  return line;
}

std::string JobTable(const std::vector<JobView>& jobs, size_t columns) {
  size_t id_width = 2;
  for (const JobView& job : jobs) id_width = std::max(id_width, job.id.size());
  const int id_columns = static_cast<int>(id_width);
  std::string table =
      absl::StrFormat("%-*s  %-9s  %7s  %-12s  %s\n", id_columns, "ID", "STATE", "STEP", "CLIENT", "PROMPT");
  const size_t used = id_width + 2 + 9 + 2 + 7 + 2 + 12 + 2;
  const size_t left = columns > used + 20 ? columns - used : 20;
  for (const JobView& job : jobs) {
    const std::string text = job.error.empty() ? job.prompt : absl::StrCat("error: ", job.error);
    absl::StrAppendFormat(&table, "%-*s  %-9s  %7s  %-12s  %s\n", id_columns, job.id,
                          std::string(JobStateText(job.state)), absl::StrCat(job.step, "/", job.steps),
                          OneLine(job.client, 12), OneLine(text, left));
  }
  return table;
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
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace diptych
