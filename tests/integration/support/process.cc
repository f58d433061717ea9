#include "tests/integration/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace diptych::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::vector<std::string> MergedEnvironment(const Process::Environment& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (name.rfind("DIPTYCH_", 0) != 0 && name != "XDG_CACHE_HOME" && !added.contains(name)) merged.push_back(text);
  }
  if (!added.contains("DIPTYCH_CONFIG")) merged.push_back("DIPTYCH_CONFIG=none");
  if (!added.contains("XDG_CACHE_HOME")) merged.push_back("XDG_CACHE_HOME=" DIPTYCH_BINARY_DIR "/tests/cache");
  for (const auto& [name, value] : added) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::string ReadAll(int fd) {
  std::string text;
  char bytes[1 << 16];
  for (ssize_t count; (count = pread(fd, bytes, sizeof bytes, static_cast<off_t>(text.size()))) > 0;) {
    text.append(bytes, static_cast<size_t>(count));
  }
  return text;
}

}  // namespace

std::string ProgramPath(const std::string& name) { return DIPTYCH_BINARY_DIR "/bin/" + name; }

Process::Process(const std::vector<std::string>& arguments, const Environment& environment)
    : out_(memfd_create("stdout", MFD_CLOEXEC)), err_(memfd_create("stderr", MFD_CLOEXEC)) {
  const std::vector<std::string> merged = MergedEnvironment(environment);
  const std::vector<char*> argv = Pointers(arguments), envp = Pointers(merged);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ > 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that dies leaves nothing behind
  if (getppid() != parent) _exit(126);
  const int nothing = open("/dev/null", O_RDONLY);
  // Appending: what a restarted thread of the program writes never overwrites.
  fcntl(out_, F_SETFL, O_APPEND);
  fcntl(err_, F_SETFL, O_APPEND);
  if (dup2(nothing, 0) < 0 || dup2(out_, 1) < 0 || dup2(err_, 2) < 0) _exit(126);
  execve(argv[0], argv.data(), envp.data());
  _exit(127);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::exchange(other.out_, -1)),
      err_(std::exchange(other.err_, -1)),
      ended_(other.ended_),
      status_(other.status_) {}

Process::~Process() {
  if (pid_ < 0) return;
  if (IsRunning()) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(out_);
  close(err_);
}

void Process::Signal(int number) {
  if (IsRunning()) kill(pid_, number);
}

bool Process::IsRunning() {
  int status = 0;
  if (!ended_ && waitpid(pid_, &status, WNOHANG) == pid_) {
    ended_ = true;
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return !ended_;
}

int Process::Wait(milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  while (IsRunning()) {
    if (steady_clock::now() > deadline)
      throw std::runtime_error("the program does not end; it said:\n" + Out() + Err());
    std::this_thread::sleep_for(milliseconds(2));
  }
  return status_;
}

std::string Process::Out() const { return ReadAll(out_); }

std::string Process::Err() const { return ReadAll(err_); }

Outcome Finish(Process& process, milliseconds patience) {
  const int status = process.Wait(patience);
  return {status, process.Out(), process.Err()};
}

Outcome Diptych(std::vector<std::string> arguments, const Process::Environment& environment) {
  arguments.insert(arguments.begin(), ProgramPath("diptych"));
  Process process(arguments, environment);
  return Finish(process);
}

Process StartDiptych(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), ProgramPath("diptych"));
  return Process(arguments);
}

std::vector<std::string> ErrorLines(const Outcome& outcome) {
  const std::string beginning = "diptych: error: ";
  std::vector<std::string> lines;
  std::istringstream err(outcome.err);
  for (std::string line; std::getline(err, line);) {
    if (line.rfind(beginning, 0) == 0) lines.push_back(line.substr(beginning.size()));
    if (line.rfind("{\"error\":", 0) == 0) lines.push_back(nlohmann::json::parse(line)["error"]["message"]);
  }
  return lines;
}

void Await(const std::string& what, const std::function<bool()>& is_so, milliseconds patience) {
  for (const auto deadline = steady_clock::now() + patience; !is_so();) {
    if (steady_clock::now() > deadline) throw std::runtime_error("waited in vain: " + what);
    std::this_thread::sleep_for(milliseconds(2));
  }
}

}  // namespace diptych::integration
