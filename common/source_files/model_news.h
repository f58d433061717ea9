// What a daemon is told about the files of its model when it looks.
#pragma once

#include <string>
#include <vector>

namespace diptych {

struct ModelNews {
  std::vector<std::string> lines = {};  // for the log, each said once
  std::string refused = {};             // why the model cannot be used at this moment; empty: it can
  bool over = false;                    // it never will be again: what is there now must be loaded by a new start
};

}  // namespace diptych
