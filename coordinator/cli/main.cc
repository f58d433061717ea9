#include <unistd.h>

#include <csignal>
#include <functional>
#include <iostream>
#include <thread>

#include "common/daemon/standard_streams.h"
#include "common/net/shutdown_signal.h"
#include "coordinator/cli/run.h"
#include "coordinator/cli/terminal.h"
#include "coordinator/private_nodes.h"

int main(int argc, char** argv) {
  diptych::OpenStandardStreams();
  std::signal(SIGPIPE, SIG_IGN);  // a reader of our output that leaves must not leave daemons behind
  diptych::Interrupt interrupt;
  // The reactions run on a thread of their own, so that the second signal is heard while they do.
  std::thread reactions;
  int status = 0;
  {
    const diptych::ShutdownSignal signal([&] { reactions = std::thread([&] { interrupt.Request(); }); },
                                         [&] { interrupt.RequestAgain(); });
    const auto columns_of = [](int descriptor) -> std::function<size_t()> {
      if (isatty(descriptor) != 1) return {};
      return [descriptor] { return diptych::TerminalColumns(descriptor); };
    };
    diptych::Environment environment{.out = std::cout,
                                     .err = std::cerr,
                                     .err_columns = columns_of(STDERR_FILENO),
                                     .interrupt = interrupt,
                                     .program_folder = diptych::ProgramFolder(),
                                     .err_redraws = diptych::TerminalRedraws(),
                                     .out_columns = columns_of(STDOUT_FILENO)};
    status = diptych::RunDiptych({argv + 1, argv + argc}, environment);
  }
  if (reactions.joinable()) reactions.join();
  return status;
}
