#include "coordinator/cli/question.h"

#include <poll.h>
#include <unistd.h>

#include "absl/strings/ascii.h"

namespace diptych {
namespace {

constexpr int kLookMs = 50;            // how late an interrupt is seen
constexpr size_t kLongestAnswer = 64;  // more is no answer

std::string ReadAnswer(Environment& environment) {
  std::string line;
  while (line.size() < kLongestAnswer) {
    environment.interrupt.ThrowIfRequested();
    pollfd look{.fd = environment.in, .events = POLLIN, .revents = 0};
    if (poll(&look, 1, kLookMs) <= 0) continue;
    char byte = 0;
    if (read(environment.in, &byte, 1) != 1 || byte == '\n') break;
    line.push_back(byte);
  }
  return absl::AsciiStrToLower(absl::StripAsciiWhitespace(line));
}

}  // namespace

bool CanAsk(const Environment& environment) { return environment.err_columns && isatty(environment.in) == 1; }

bool Confirmed(const std::string& question, Environment& environment) {
  environment.err << question << " [y/N] " << std::flush;
  const std::string answer = ReadAnswer(environment);
  return answer == "y" || answer == "yes";
}

}  // namespace diptych
