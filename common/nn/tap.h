// Named taps: how a test looks inside a model without the model knowing about tests.
#pragma once

#include <functional>
#include <string_view>

namespace at {
class Tensor;
}

namespace diptych {

// Called with the name of a place and the tensor that passes there. Empty in production.
using Tap = std::function<void(std::string_view name, const at::Tensor& value)>;

}  // namespace diptych
