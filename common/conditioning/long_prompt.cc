#include "common/conditioning/long_prompt.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

namespace diptych {
namespace {

at::Tensor Interpolate(const at::Tensor& x, int64_t target) {  // x [L, width] fp32
  if (target == 1) return x.slice(0, 0, 1);
  const int64_t length = x.size(0);
  const at::Tensor position =
      at::arange(target, at::kDouble) * (static_cast<double>(length - 1) / static_cast<double>(target - 1));
  const at::Tensor lower = position.floor().clamp_max_(length - 2);
  const at::Tensor weight = (position - lower).to(at::kFloat).unsqueeze(1).to(x.device());
  const at::Tensor index = lower.to(at::kLong).to(x.device());
  return at::lerp(x.index_select(0, index), x.index_select(0, index + 1), weight);
}

at::Tensor Pool(const at::Tensor& x, int64_t target) {
  const int64_t length = x.size(0);
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < target; ++i) {
    const int64_t begin = i * length / target, end = ((i + 1) * length + target - 1) / target;
    rows.push_back(x.slice(0, begin, end).mean(0));
  }
  return at::stack(rows);
}

// 1 - mean cosine similarity with up to two rows on each side; [L] fp32.
at::Tensor Importance(const at::Tensor& x) {
  const int64_t length = x.size(0);
  const at::Tensor unit = x / x.norm(2, {-1}, /*keepdim=*/true).clamp_min(1e-12);
  at::Tensor similarity = at::zeros({length}, x.options()), neighbours = at::zeros({length}, x.options());
  for (const int64_t distance : {1, 2}) {
    if (distance >= length) break;
    const at::Tensor pair = (unit.slice(0, distance) * unit.slice(0, 0, length - distance)).sum(-1);  // [L - distance]
    similarity.slice(0, distance).add_(pair);
    similarity.slice(0, 0, length - distance).add_(pair);
    neighbours.slice(0, distance).add_(1);
    neighbours.slice(0, 0, length - distance).add_(1);
  }
  return 1 - similarity / neighbours.clamp_min(1);
}

at::Tensor AttentionPool(const at::Tensor& x, int64_t target) {
  const int64_t length = x.size(0);
  const at::Tensor importance = Importance(x);
  const double ratio = static_cast<double>(length) / static_cast<double>(target);
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < target; ++i) {
    // Regions share one row with the next; a start beyond the end yields the last row.
    const int64_t begin = std::min(static_cast<int64_t>(static_cast<double>(i) * ratio), length - 1);
    const int64_t end = std::min(static_cast<int64_t>(static_cast<double>(i + 1) * ratio) + 1, length);
    const at::Tensor weight = at::softmax(importance.slice(0, begin, end), 0).unsqueeze(1);
    rows.push_back((weight * x.slice(0, begin, end)).sum(0));
  }
  return at::stack(rows);
}

}  // namespace

at::Tensor FitRows(const at::Tensor& rows, int64_t limit, LongPromptMode mode) {
  if (rows.size(0) <= limit) return rows;
  const at::InferenceMode no_gradients;
  if (mode == LongPromptMode::kTruncate) return rows.slice(0, 0, limit);
  const at::Tensor x = rows.to(at::kFloat);
  const at::Tensor fitted = mode == LongPromptMode::kInterpolate ? Interpolate(x, limit)
                            : mode == LongPromptMode::kPool      ? Pool(x, limit)
                                                                 : AttentionPool(x, limit);
  return fitted.to(rows.scalar_type());
}

}  // namespace diptych
