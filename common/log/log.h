// Log lines on stderr: "2026-12-01T12:34:56.789+00:00 info message", or in journald's form when stderr is the journal.
#pragma once

#include <iosfwd>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>

namespace diptych {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
LogLevel ParseLogLevel(std::string_view name);  // "debug", "info", "warning", "error"; throws Error(kInvalidArgument)

// What others can make of a log, whatever they send: a message in at most so many bytes, and of each place of the
// program that writes (whatever the job) so many lines at once and then one a second. The next line of the same place
// says how many were left out. Debug lines are not counted: whoever asks for them wants all.
inline constexpr size_t kLogMessageBytes = 4000;
inline constexpr int kLogBurst = 200;

// Thread-safe: one line at a time. Cheap to copy; copies write to the same place. Line breaks and control characters in
// a message are escaped, so that nobody can forge a line.
class Logger {
 public:
  using Place = std::source_location;
  void Debug(std::string_view message) const { Write(LogLevel::kDebug, message, Place::current()); }
  void Info(std::string_view message, const Place& place = Place::current()) const {
    Write(LogLevel::kInfo, message, place);
  }
  void Warn(std::string_view message, const Place& place = Place::current()) const {
    Write(LogLevel::kWarning, message, place);
  }
  void Error(std::string_view message, const Place& place = Place::current()) const {
    Write(LogLevel::kError, message, place);
  }

  // Whether a line of this level would appear, for messages that are costly to make.
  bool Shows(LogLevel level) const;

  // A logger whose every line carries job=<id>.
  Logger ForJob(std::string_view id) const;

 private:
  struct Sink;
  friend std::shared_ptr<Logger> MakeLogger(const std::string&, LogLevel);
  friend std::shared_ptr<Logger> MakeStreamLogger(std::ostream&, LogLevel, bool);
  explicit Logger(std::shared_ptr<Sink> sink) : sink_(std::move(sink)) {}
  void Write(LogLevel level, std::string_view message, const Place& place) const;

  std::shared_ptr<Sink> sink_;
  std::string prefix_;  // "job=<id> "
};

// To stderr. The name appears in no line (journald adds it); it names the logger for debuggers.
std::shared_ptr<Logger> MakeLogger(const std::string& program, LogLevel level);

// To a stream that outlives the logger; for tests. `journal`: "<6>message" in place of time, level and message.
std::shared_ptr<Logger> MakeStreamLogger(std::ostream& out, LogLevel level, bool journal = false);

}  // namespace diptych
