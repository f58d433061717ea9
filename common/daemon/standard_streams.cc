#include "common/daemon/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

namespace diptych {

void OpenStandardStreams() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_RDWR);  // the lowest that is free
  if (fd > STDERR_FILENO) close(fd);
}

}  // namespace diptych
