#include "common/nn/pieces.h"

#include <cmath>

namespace diptych::nn {
namespace {

thread_local PauseScope* innermost = nullptr;

// Until it is computed.
void WaitFor(at::Tensor result) {
  while (result.dim() > 0) result = result.select(0, 0);
  result.item();
}

}  // namespace

PauseScope::PauseScope(const Pause& pause, double piece_flops)
    : pause_(pause),
      piece_flops_(piece_flops > 0 || innermost == nullptr ? piece_flops : innermost->piece_flops_),
      outer_(innermost) {
  innermost = this;
}
PauseScope::~PauseScope() { innermost = outer_; }

void Worked(double flops, const at::Tensor& result) {
  PauseScope* const scope = innermost;
  if (scope == nullptr || !scope->pause_) return;
  if (result.is_cuda()) {
    scope->since_wait_ += flops;
    if (scope->since_wait_ >= PieceFlops(result.device())) {
      scope->since_wait_ = 0;
      WaitFor(result);
    }
  }
  scope->pause_();
}

double PieceFlops(const at::Device& device) {
  if (innermost != nullptr && innermost->piece_flops_ > 0) return innermost->piece_flops_;
  return device.is_cuda() ? kCudaPieceFlops : kPieceFlops;
}

int64_t RowsOfAPiece(int64_t rows, double flops_per_row, const at::Device& device) {
  constexpr int64_t kMultiple = 16;
  const double pieces = std::ceil(static_cast<double>(rows) * flops_per_row / PieceFlops(device));
  if (!(pieces > 1)) return rows;
  const double part = std::ceil(static_cast<double>(rows) / pieces / kMultiple) * kMultiple;
  return std::min(rows, static_cast<int64_t>(part));
}

}  // namespace diptych::nn
