// What nobody can do for anybody: the wish itself is wrong, whatever the files that it names hold.
#pragma once

#include <string>

#include "common/error/error.h"

namespace diptych {

// Always kInvalidArgument. Apart from other errors of this code (a file that is no picture), so that a front can tell
// who has to change something: the command line calls this wrong usage.
struct WrongWish : Error {
  explicit WrongWish(const std::string& message) : Error(ErrorCode::kInvalidArgument, message) {}
};

}  // namespace diptych
