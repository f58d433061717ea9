// What a command may touch of the world outside its own configuration.
#pragma once

#include <filesystem>
#include <ostream>

#include "coordinator/interrupt.h"

namespace diptych {

struct Environment {
  std::ostream& out;  // results and JSON
  std::ostream& err;  // progress, warnings, the one line of an error
  bool err_is_terminal = false;
  Interrupt& interrupt;
  std::filesystem::path program_folder;  // where the daemons lie
};

}  // namespace diptych
