// A program under test, started as a user would start it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace diptych::integration {

// Until what a test waits for must have come, also on a machine that is busy with other work. Nothing takes so long:
// only a test that fails waits to its end.
inline constexpr std::chrono::seconds kPatience(120);

std::string ProgramPath(const std::string& name);  // in build/bin

// Its standard input is empty; its output is kept in memory. Its environment is this one's less the variables of
// ours, no configuration file is looked for, and the cache is not the developer's. Not thread-safe.
class Process {
 public:
  using Environment = std::map<std::string, std::string>;  // added to it

  // Runs `arguments[0]`, a path.
  explicit Process(const std::vector<std::string>& arguments, const Environment& environment = {});
  ~Process();  // kills it when it still runs
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;

  void Signal(int number);
  int pid() const { return pid_; }
  bool IsRunning();

  // The exit status, or 128 + signal. Throws std::runtime_error with what the program said when it does not end in
  // time.
  int Wait(std::chrono::milliseconds patience = kPatience);

  std::string Out() const;  // all that it has written so far
  std::string Err() const;

 private:
  pid_t pid_ = -1;
  int out_ = -1;  // memory files
  int err_ = -1;
  bool ended_ = false;
  int status_ = 0;
};

using Arguments = std::vector<std::string>;

// How a program ended, and what it said.
struct Outcome {
  int status = -1;
  std::string out;
  std::string err;
};

Outcome Finish(Process& process, std::chrono::milliseconds patience = kPatience);

// build/bin/diptych with these arguments, to its end.
Outcome Diptych(std::vector<std::string> arguments, const Process::Environment& environment = {});
Process StartDiptych(std::vector<std::string> arguments);  // and does not wait

// The lines of standard error that begin with "diptych: error: ", without that, and the messages of errors as JSON.
// Progress and warnings are left out.
std::vector<std::string> ErrorLines(const Outcome& outcome);

// Looks every 2 ms; throws std::runtime_error naming `what` when it is not so in time.
void Await(const std::string& what, const std::function<bool()>& is_so, std::chrono::milliseconds patience = kPatience);

}  // namespace diptych::integration
