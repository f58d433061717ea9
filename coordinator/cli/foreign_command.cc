#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "coordinator/cli/command.h"

namespace diptych {
namespace {

struct Habit {
  std::string_view advice;
  std::array<std::string_view, 14> names;  // in small letters, without dashes and underscores
};

constexpr std::array<Habit, 10> kHabits = {{
    {"a picture is made by diptych generate \"PROMPT\"",
     {"txt2img", "text2img", "texttoimage", "t2i", "imggen", "imagine", "paint", "draw", "render", "run", "create",
      "make", "cli", "sample"}},
    {"pictures from pictures do not exist yet; diptych generate --from-picture FILE repeats one that Diptych made",
     {"img2img", "imagetoimage", "i2i", "inpaint", "outpaint", "upscale", "edit", "vid2vid"}},
    {"diptych jobs lists jobs", {"list", "ls", "ps", "queue", "history", "top", "tasks", "job"}},
    {"diptych nodes shows the renderer and its encoders, diptych jobs its queue",
     {"status", "stat", "stats", "info", "show", "devices", "version"}},
    {"daemons are programs of their own: diptych-encoderd and diptych-renderd",
     {"serve", "server", "start", "daemon", "launch", "webui", "listen", "up", "api", "encoderd", "renderd"}},
    {"diptych cancel ID ends a job, and diptych rm ID forgets it",
     {"stop", "kill", "abort", "interrupt", "end", "clear", "purge"}},
    {"diptych rm ID forgets a job that has ended", {"delete", "del", "remove", "forget", "prune"}},
    {"diptych fetch ID writes the picture of a job", {"get", "download", "save", "pull", "result", "view"}},
    {"diptych watch ID follows a job", {"follow", "attach", "tail", "wait", "logs", "log", "progress"}},
    {"diptych submit \"PROMPT\" puts a job into the queue", {"enqueue", "push", "add", "post", "put", "prompt"}},
}};

}  // namespace

std::string ForeignCommandAdvice(const std::string& name) {
  std::string bare;
  for (const char c : name) {
    if (c != '-' && c != '_') bare.push_back(('A' <= c && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c);
  }
  if (bare.empty()) return "";
  for (const Habit& habit : kHabits) {
    if (std::find(habit.names.begin(), habit.names.end(), bare) != habit.names.end()) {
      return "; " + std::string(habit.advice);
    }
  }
  if (bare == "check" || bare == "diagnose" || bare == "test") return "; diptych doctor checks this installation";
  if (bare == "tokenize" || bare == "tokenizer") return "; diptych tokens shows the tokens of a prompt";
  if (bare == "unpause" || bare == "continue") return "; diptych resume lets the queue go on";
  return "";
}

}  // namespace diptych
