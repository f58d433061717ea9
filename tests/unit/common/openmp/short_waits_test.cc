// Programs that compute wait briefly and ask for short turns, whoever starts them and how; library and kernel
// themselves say what they were told.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "common/openmp/scheduling.h"

namespace diptych {
namespace {

using Words = std::vector<std::string>;

const char* const kProbe = SHORT_WAITS_PROBE;
const char* const kShowYourself = "OMP_DISPLAY_ENV=verbose";  // libgomp prints what it has read, to stderr

std::vector<char*> Pointers(Words& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

struct Outcome {
  pid_t pid = 0;
  int status = -1;
  std::string text;  // stdout and stderr

  bool Says(const std::string& line) const { return ("\n" + text).find("\n" + line + "\n") != std::string::npos; }
  // Whatever the prefix of the line; GNU's library writes "  [host] GOMP_SPINCOUNT = '10000'".
  bool Read(const std::string& variable, const std::string& value) const {
    return text.find(variable + " = '" + value + "'") != std::string::npos;
  }
};

// `program`: a path, or an open descriptor as "fd:NUMBER". `prepare` is called in the new process.
Outcome Start(
    const std::string& program, Words arguments, Words environment, void (*prepare)() = [] {}) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe");
  Outcome run;
  std::vector<char*> argv = Pointers(arguments), envp = Pointers(environment);
  run.pid = fork();
  if (run.pid == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    prepare();
    if (program.rfind("fd:", 0) == 0) {
      fexecve(std::stoi(program.substr(3)), argv.data(), envp.data());
    } else {
      execve(program.c_str(), argv.data(), envp.data());
    }
    _exit(127);
  }
  close(ends[1]);
  char bytes[4096];
  for (ssize_t count; (count = read(ends[0], bytes, sizeof bytes)) > 0;) run.text.append(bytes, count);
  close(ends[0]);
  waitpid(run.pid, &run.status, 0);
  return run;
}

TEST(ShortWaits, AreSetForAProgramThatWasStartedWithoutAnything) {
  const Outcome run = Start(kProbe, {"an odd name", "--flag", "", "two words"}, {kShowYourself, "USER_S_OWN=1"});
  EXPECT_EQ(run.status, 0);
  EXPECT_TRUE(run.Read("GOMP_SPINCOUNT", "10000")) << run.text;
  // It is still the process that was started, and finds what it was started with.
  EXPECT_TRUE(run.Says("pid=" + std::to_string(run.pid))) << run.text;
  EXPECT_TRUE(run.Says("comm=short_waits_pro")) << run.text;  // the kernel keeps 15 characters
  EXPECT_TRUE(run.Says("argument=an odd name\nargument=--flag\nargument=\nargument=two words")) << run.text;
  EXPECT_TRUE(run.Says("environment=OMP_DISPLAY_ENV=verbose\nenvironment=USER_S_OWN=1")) << run.text;
  // Nothing of ours is left for the programs that it starts.
  EXPECT_EQ(run.text.find("environment=GOMP_SPINCOUNT"), std::string::npos) << run.text;
  EXPECT_EQ(run.text.find("environment=DIPTYCH"), std::string::npos) << run.text;
}

TEST(ShortWaits, LeaveWhatTheUserHasSet) {
  const Outcome count = Start(kProbe, {kProbe}, {kShowYourself, "GOMP_SPINCOUNT=77"});
  EXPECT_TRUE(count.Read("GOMP_SPINCOUNT", "77")) << count.text;
  EXPECT_TRUE(count.Says("environment=GOMP_SPINCOUNT=77")) << count.text;
  const Outcome policy = Start(kProbe, {kProbe}, {kShowYourself, "OMP_WAIT_POLICY=active"});
  EXPECT_TRUE(policy.Read("OMP_WAIT_POLICY", "ACTIVE")) << policy.text;
  EXPECT_FALSE(policy.Read("GOMP_SPINCOUNT", "10000")) << policy.text;
  EXPECT_EQ(policy.text.find("environment=GOMP_SPINCOUNT"), std::string::npos) << policy.text;
}

TEST(ShortWaits, ComeWithAnEmptyEnvironment) {
  const Outcome run = Start(kProbe, {kProbe}, {});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.text.find("environment="), std::string::npos) << run.text;
}

// The loader run as a program, as ldd does: the process is not ours to start anew.
TEST(ShortWaits, DoNotStandInTheWayOfTheLoader) {
  const char* const loader = "/lib64/ld-linux-x86-64.so.2";
  if (!std::filesystem::exists(loader)) GTEST_SKIP() << "no " << loader << " on this machine";
  const Outcome run = Start(loader, {loader, kProbe, "word"}, {kShowYourself});
  EXPECT_EQ(run.status, 0) << run.text;
  EXPECT_TRUE(run.Says("argument=word")) << run.text;
}

// A file that nobody can name any more: an update that replaced the program.
TEST(ShortWaits, DoNotStandInTheWayOfAProgramThatIsGone) {
  const std::string copy = std::filesystem::temp_directory_path() / ("short_waits_probe-" + std::to_string(getpid()));
  std::filesystem::copy_file(kProbe, copy);
  const int descriptor = open(copy.c_str(), O_RDONLY | O_CLOEXEC);
  std::filesystem::remove(copy);
  const Outcome run = Start("fd:" + std::to_string(descriptor), {"gone", "word"}, {kShowYourself});
  close(descriptor);
  EXPECT_EQ(run.status, 0) << run.text;
  EXPECT_TRUE(run.Says("argument=gone\nargument=word")) << run.text;
}

TEST(ShortWaits, HoldForTheProgramsThatCompute) {
  for (const std::string program : {PROGRAMS_THAT_COMPUTE}) {
    const Outcome run = Start(program, {program, "--help"}, {kShowYourself});
    EXPECT_TRUE(run.Read("GOMP_SPINCOUNT", "10000")) << program << "\n" << run.text;
  }
}

TEST(LibraryRoom, ProgramsSayWhereTheLibrariesWouldWaitForMemoryForEver) {
  for (const std::string program : {PROGRAMS_THAT_COMPUTE}) {
    const Outcome run = Start(program, {program, "--help"}, {}, [] {
      const rlimit limit{800'000 << 10, 800'000 << 10};
      setrlimit(RLIMIT_AS, &limit);
      alarm(60);  // it would hang
    });
    EXPECT_EQ(run.status, 1 << 8) << program << "\n" << run.text;
    const std::string name = std::filesystem::path(program).filename();
    EXPECT_EQ(run.text.rfind(name + ": the address-space limit (ulimit -v) is 800000 kB, and libtorch needs ", 0), 0)
        << run.text;
  }
}

void ChooseSlice(uint64_t nanoseconds) {
  Scheduling scheduling;
  ReadScheduling(scheduling);
  scheduling.runtime = nanoseconds;
  SetScheduling(scheduling);
}

void ChoosePolicy(int policy, int nice) {
  Scheduling scheduling;
  scheduling.policy = policy;
  scheduling.nice = nice;
  if (!SetScheduling(scheduling)) _exit(126);
}

TEST(ShortTurns, AreAskedFor) {
  ChooseSlice(50'000'000);
  Scheduling now;
  ASSERT_TRUE(ReadScheduling(now));
  ChooseSlice(0);
  const Outcome run = Start(kProbe, {kProbe}, {}, [] { ChooseSlice(0); });
  EXPECT_EQ(run.status, 0) << run.text;
  if (now.runtime != 50'000'000) {
    EXPECT_FALSE(run.Says("slice=100000")) << run.text;
    GTEST_SKIP() << "this kernel grants no slices (Linux does from 6.12 on)";
  }
  EXPECT_TRUE(run.Says("slice=100000")) << run.text;
}

TEST(ShortTurns, LeavePolicyAndPriority) {
  const Outcome batch = Start(kProbe, {kProbe}, {}, [] { ChoosePolicy(SCHED_BATCH, 7); });
  EXPECT_TRUE(batch.Says("policy=3\nnice=7")) << batch.text;
  const Outcome idle = Start(kProbe, {kProbe}, {}, [] { ChoosePolicy(SCHED_IDLE, 0); });
  EXPECT_TRUE(idle.Says("policy=5")) << idle.text;
  EXPECT_FALSE(idle.Says("slice=100000")) << idle.text;
}

}  // namespace
}  // namespace diptych
