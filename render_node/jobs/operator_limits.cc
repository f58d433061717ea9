#include "render_node/jobs/operator_limits.h"

#include <string>

#include "common/error/error.h"

namespace diptych {
namespace {

[[noreturn]] void Refuse(const std::string& found, const std::string& allowed) {
  throw Error(ErrorCode::kInvalidArgument, found + "; this renderer allows at most " + allowed);
}

}  // namespace

void CheckAllowed(const RenderParameters& parameters, const OperatorLimits& limits) {
  const int64_t pixels = int64_t{parameters.width} * parameters.height;
  if (limits.pixels > 0 && pixels > limits.pixels) {
    Refuse("a picture of " + std::to_string(parameters.width) + "x" + std::to_string(parameters.height) + " has " +
               std::to_string(pixels) + " pixels",
           std::to_string(limits.pixels) + " (render.max_pixels)");
  }
  if (limits.steps > 0 && parameters.steps > limits.steps) {
    Refuse(std::to_string(parameters.steps) + " steps are asked for",
           std::to_string(limits.steps) + " (render.max_steps)");
  }
}

}  // namespace diptych
