#include "common/daemon/standard_streams.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace diptych {
namespace {

// The number of the first file that a process opens which has closed `closed` before.
int FirstFileAfterClosing(std::initializer_list<int> closed) {
  const pid_t child = fork();
  if (child == 0) {
    closefrom(STDERR_FILENO + 1);
    for (const int fd : closed) close(fd);
    OpenStandardStreams();
    _exit(open("/dev/null", O_RDONLY));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST(OpenStandardStreams, LeavesNoneOfTheirNumbersToOthers) {
  EXPECT_EQ(FirstFileAfterClosing({}), 3);
  EXPECT_EQ(FirstFileAfterClosing({1}), 3);
  EXPECT_EQ(FirstFileAfterClosing({1, 2}), 3);
  EXPECT_EQ(FirstFileAfterClosing({0, 1, 2}), 3);
}

}  // namespace
}  // namespace diptych
