#include "coordinator/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace diptych {

size_t TerminalColumns(int descriptor) {
  if (isatty(descriptor) != 1) return 0;
  winsize size{};
  return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace diptych
