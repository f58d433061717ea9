// Named taps: how a test looks inside a model without the model knowing about it.
#pragma once

#include <functional>
#include <string_view>

namespace at {
class Tensor;
}

namespace diptych {

// Called with the name of a place and the tensor that passes there. What it throws ends the pass.
using Tap = std::function<void(std::string_view name, const at::Tensor& value)>;

}  // namespace diptych
