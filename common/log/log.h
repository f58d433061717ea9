// Log lines on stderr: "12:34:56 info message", or in journald's form when stderr is the journal.
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

namespace diptych {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
LogLevel ParseLogLevel(std::string_view name);  // "debug", "info", "warning", "error"; throws Error(kInvalidArgument)

// Thread-safe: one line at a time. Cheap to copy; copies write to the same place. Line breaks and control characters in
// a message are escaped, so that nobody can forge a line.
class Logger {
 public:
  void Debug(std::string_view message) const { Write(LogLevel::kDebug, message); }
  void Info(std::string_view message) const { Write(LogLevel::kInfo, message); }
  void Warn(std::string_view message) const { Write(LogLevel::kWarning, message); }
  void Error(std::string_view message) const { Write(LogLevel::kError, message); }

  // Whether a line of this level would appear, for messages that are costly to make.
  bool Shows(LogLevel level) const;

  // A logger whose every line carries job=<id>.
  Logger ForJob(std::string_view id) const;

 private:
  struct Sink;
  friend std::shared_ptr<Logger> MakeLogger(const std::string&, LogLevel);
  friend std::shared_ptr<Logger> MakeStreamLogger(std::ostream&, LogLevel, bool);
  explicit Logger(std::shared_ptr<Sink> sink) : sink_(std::move(sink)) {}
  void Write(LogLevel level, std::string_view message) const;

  std::shared_ptr<Sink> sink_;
  std::string prefix_;  // "job=<id> "
};

// To stderr. The name appears in no line (journald adds it); it names the logger for debuggers.
std::shared_ptr<Logger> MakeLogger(const std::string& program, LogLevel level);

// To a stream that outlives the logger; for tests. `journal`: "<6>message" instead of "12:34:56 info message".
std::shared_ptr<Logger> MakeStreamLogger(std::ostream& out, LogLevel level, bool journal = false);

// The text with line breaks and control characters written as \n, \t, \x1b.
std::string EscapeForLog(std::string_view text);

}  // namespace diptych
