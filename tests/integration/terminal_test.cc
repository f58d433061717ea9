// What the real command line shows on a terminal: no line is longer than the terminal is wide, the numbers are there at
// any width, and a terminal that understands no control sequences gets none.
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/user.h"

namespace diptych::integration {
namespace {

// All that a program writes to a terminal of so many columns; empty when it does not end.
std::string RunOnTerminal(const Arguments& arguments, unsigned short columns, const std::string& term,
                          const std::string& folder) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  winsize size{};
  size.ws_col = columns;
  size.ws_row = 24;
  int terminal = -1;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
  if (pid == 0) {
    unsetenv("CI");
    unsetenv("NO_COLOR");
    unsetenv("DIPTYCH_CONFIG");
    setenv("TERM", term.c_str(), 1);
    if (chdir(folder.c_str()) != 0) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  std::string output;
  char bytes[4096];
  while (true) {
    pollfd waiting{.fd = terminal, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, 60'000) <= 0) {
      kill(pid, SIGKILL);
      output.clear();
      break;
    }
    const ssize_t count = read(terminal, bytes, sizeof bytes);
    if (count <= 0) break;  // EIO: the program has ended
    output.append(bytes, static_cast<size_t>(count));
  }
  close(terminal);
  waitpid(pid, nullptr, 0);
  return output;
}

// What stood on a line at one time or another.
std::vector<std::string> Lines(std::string output) {
  output = std::regex_replace(output, std::regex("\x1b\\[K"), "");
  std::replace(output.begin(), output.end(), '\r', '\n');
  std::vector<std::string> lines;
  std::istringstream text(output);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

class Terminal : public testing::Test {
 protected:
  Terminal()
      : encoder_(StartEncoder(ToyPath("toy_a"), {"--threads", "1"})),
        renderer_(StartRenderer(ToyPath("toy_a"), encoder_.address(), scratch_ / "state", {"--threads", "1"})) {}

  std::string Generate(unsigned short columns, const std::string& term) {
    return RunOnTerminal({ProgramPath("diptych"), "generate", "A cat", "--width", "256", "--height", "256", "--steps",
                          "9", "--seed", "7", "--count", "3", "--output", "p.png", "--render", renderer_.address()},
                         columns, term, scratch_ / "");
  }

  static void ExpectFits(const std::string& output, unsigned short columns) {
    ASSERT_FALSE(output.empty());
    for (const std::string& line : Lines(output)) EXPECT_LE(line.size(), columns) << line;
    EXPECT_TRUE(std::regex_search(output, std::regex("step [0-9]+ of 9|[0-9]+/9"))) << output;
    EXPECT_TRUE(std::regex_search(output, std::regex("picture 2 of 3|2/3 "))) << output;
    EXPECT_NE(output.find("p-3.png"), std::string::npos) << output;
  }

  const Scratch scratch_;
  Daemon encoder_, renderer_;
};

TEST_F(Terminal, ShowsABarWhereThereIsRoomAndTheNumbersInAnyCase) {
  for (const unsigned short columns : {100, 40, 20}) {
    const std::string output = Generate(columns, "xterm");
    ExpectFits(output, columns);
    // At 40 there is room beside "decoding" alone.
    if (columns != 40) {
      EXPECT_EQ(output.find("[##") != std::string::npos, columns == 100) << output;
    }
    EXPECT_NE(output.find("\x1b[K"), std::string::npos);
  }
}

TEST_F(Terminal, ADumbOneGetsLinesWithoutControlSequences) {
  for (const unsigned short columns : {100, 20}) {
    const std::string output = Generate(columns, "dumb");
    ExpectFits(output, columns);
    EXPECT_EQ(output.find('\x1b'), std::string::npos) << output;
  }
}

}  // namespace
}  // namespace diptych::integration
