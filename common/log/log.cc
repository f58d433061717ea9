#include "common/log/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <ostream>
#include <utility>

#include "common/error/error.h"
#include "common/foreign_text/foreign_text.h"

namespace diptych {
namespace {

constexpr size_t kLongestId = 80;  // of a job, shown: ours have 26 bytes

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// syslog(3) priorities, which journald reads from the head of a line.
const char* JournalPriority(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "<7>";
    case LogLevel::kInfo:
      return "<6>";
    case LogLevel::kWarning:
      return "<4>";
    case LogLevel::kError:
      return "<3>";
  }
  return "<3>";
}

// $JOURNAL_STREAM is "device:inode" of the journal's socket (systemd.exec(5)). A shell started by a service inherits
// the variable without writing to the journal, hence the comparison.
bool StderrIsJournal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  unsigned long long device = 0, inode = 0;
  struct stat status;
  return stream != nullptr && std::sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
         fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

}  // namespace

struct Logger::Sink {
  Sink(const std::string& name, spdlog::sink_ptr sink, LogLevel level, bool in_journal)
      : out(name, std::move(sink)), journal(in_journal) {
    out.set_level(SpdlogLevel(level));
    out.set_pattern(journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    out.flush_on(spdlog::level::trace);
  }
  // How many lines of this place were left out since the last one; nullopt: this one is left out, too.
  std::optional<int64_t> Admit(const std::source_location& place) {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex);
    Budget& budget = budgets[{place.file_name(), place.line()}];
    const std::chrono::duration<double> since = now - budget.asked;
    budget.lines = std::min<double>(kLogBurst, budget.lines + since.count());
    budget.asked = now;
    if (budget.lines < 1) {
      ++budget.left_out;
      return std::nullopt;
    }
    budget.lines -= 1;
    return std::exchange(budget.left_out, 0);
  }

  struct Budget {
    double lines = kLogBurst;
    std::chrono::steady_clock::time_point asked = std::chrono::steady_clock::now();
    int64_t left_out = 0;
  };
  spdlog::logger out;
  const bool journal;
  std::mutex mutex;
  std::map<std::pair<std::string_view, uint32_t>, Budget> budgets;  // by file and line: names are literals
};

LogLevel ParseLogLevel(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  throw diptych::Error(ErrorCode::kInvalidArgument,
                       "log level \"" + std::string(name) + "\" must be one of debug, info, warning, error");
}

bool Logger::Shows(LogLevel level) const { return sink_->out.should_log(SpdlogLevel(level)); }

Logger Logger::ForJob(std::string_view id) const {
  Logger logger(sink_);
  logger.prefix_ = "job=" + ForeignText(id, kLongestId) + " ";
  return logger;
}

void Logger::Write(LogLevel level, std::string_view message, const Place& place) const {
  if (!Shows(level)) return;
  const std::optional<int64_t> left_out = level == LogLevel::kDebug ? 0 : sink_->Admit(place);
  if (!left_out) return;
  std::string line = (sink_->journal ? JournalPriority(level) : "") + prefix_ + ForeignText(message, kLogMessageBytes);
  if (*left_out > 0) line += " (" + std::to_string(*left_out) + " more lines like this were left out)";
  sink_->out.log(SpdlogLevel(level), spdlog::string_view_t(line.data(), line.size()));
}

std::shared_ptr<Logger> MakeLogger(const std::string& program, LogLevel level) {
  return std::shared_ptr<Logger>(new Logger(std::make_shared<Logger::Sink>(
      program, std::make_shared<spdlog::sinks::stderr_sink_mt>(), level, StderrIsJournal())));
}

std::shared_ptr<Logger> MakeStreamLogger(std::ostream& out, LogLevel level, bool journal) {
  return std::shared_ptr<Logger>(new Logger(
      std::make_shared<Logger::Sink>("stream", std::make_shared<spdlog::sinks::ostream_sink_mt>(out), level, journal)));
}

}  // namespace diptych
