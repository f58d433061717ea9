// What a command may touch of the world outside its own configuration.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <ostream>

#include "coordinator/input.h"
#include "coordinator/interrupt.h"

namespace diptych {

struct Environment {
  std::ostream& out;                    // results and JSON
  std::ostream& err;                    // progress, warnings, the one line of an error
  std::function<size_t()> err_columns;  // of the terminal that `err` is; empty: it is none
  Interrupt& interrupt;
  std::filesystem::path program_folder;  // where the daemons lie
  int in = 0;                            // standard input, a file descriptor

  InputSource Input() const { return {in, &interrupt}; }
};

}  // namespace diptych
