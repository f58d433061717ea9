#include "common/log/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <utility>

#include "common/error/error.h"

namespace diptych {
namespace {

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

void AppendHex(unsigned char byte, std::string* text) {
  static constexpr char kHex[] = "0123456789abcdef";
  *text += "\\x";
  text->push_back(kHex[byte >> 4]);
  text->push_back(kHex[byte & 15]);
}

}  // namespace

struct Logger::Sink {
  Sink(const std::string& name, spdlog::sink_ptr sink, LogLevel level, bool in_journal)
      : out(name, std::move(sink)), journal(in_journal) {
    out.set_level(SpdlogLevel(level));
    out.set_pattern(journal ? "%v" : "%H:%M:%S %l %v");
    out.flush_on(spdlog::level::trace);
  }
  spdlog::logger out;
  const bool journal;
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
  logger.prefix_ = "job=" + EscapeForLog(id) + " ";
  return logger;
}

void Logger::Write(LogLevel level, std::string_view message) const {
  if (!Shows(level)) return;
  const std::string line = (sink_->journal ? JournalPriority(level) : "") + prefix_ + EscapeForLog(message);
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

std::string EscapeForLog(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte == '\n') {
      escaped += "\\n";
    } else if (byte == '\r') {
      escaped += "\\r";
    } else if (byte == '\t') {
      escaped += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      AppendHex(byte, &escaped);
    } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {  // U+0080 to U+009F: terminals obey these too
      AppendHex(byte, &escaped);
      AppendHex(next, &escaped);
      ++i;
    } else {
      escaped.push_back(text[i]);
    }
  }
  return escaped;
}

}  // namespace diptych
