#include <unistd.h>

#include <csignal>
#include <iostream>
#include <thread>

#include "common/net/shutdown_signal.h"
#include "coordinator/cli/run.h"
#include "coordinator/private_nodes.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader of our output that leaves must not leave daemons behind
  diptych::Interrupt interrupt;
  // The reactions run on a thread of their own, so that the second signal is heard while they do.
  std::thread reactions;
  int status = 0;
  {
    const diptych::ShutdownSignal signal([&] { reactions = std::thread([&] { interrupt.Request(); }); },
                                         [&] { interrupt.RequestAgain(); });
    diptych::Environment environment{.out = std::cout,
                                     .err = std::cerr,
                                     .err_is_terminal = isatty(STDERR_FILENO) == 1,
                                     .interrupt = interrupt,
                                     .program_folder = diptych::ProgramFolder()};
    status = diptych::RunDiptych({argv + 1, argv + argc}, environment);
  }
  if (reactions.joinable()) reactions.join();
  return status;
}
