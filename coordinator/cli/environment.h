// What a command may touch of the world outside its own configuration.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <ostream>

#include "coordinator/cli/progress_view.h"
#include "coordinator/input.h"
#include "coordinator/interrupt.h"

namespace diptych {

struct Environment {
  std::ostream& out;                    // results and JSON
  std::ostream& err;                    // progress, warnings, the one line of an error
  std::function<size_t()> err_columns;  // of the terminal that `err` is; empty: it is none
  Interrupt& interrupt;
  std::filesystem::path program_folder;      // where the daemons lie
  int in = 0;                                // standard input, a file descriptor
  bool err_redraws = true;                   // the terminal that `err` is understands control sequences
  std::function<size_t()> out_columns = {};  // of the terminal that `out` is; empty: it is none

  InputSource Input() const {
    return {in, [&interrupt = interrupt] { interrupt.ThrowIfRequested(); }};
  }
  ProgressScreen Screen() const { return {.err = err, .columns = err_columns, .redraws = err_redraws}; }
  size_t OutColumns() const { return out_columns ? out_columns() : 0; }  // 0: no terminal
};

}  // namespace diptych
