#include "common/nn/layers.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/nn/torch_version.h"

namespace diptych::nn {

at::Tensor RmsNorm::operator()(const at::Tensor& x) const {
  const at::Tensor wide = x.to(at::kFloat);  // no copy when it is fp32 already
  const at::Tensor rsqrt = wide.square().mean(-1, /*keepdim=*/true).add_(eps).rsqrt_();
  return (wide * rsqrt).to(x.scalar_type()).mul_(weight);
}

#if DIPTYCH_TORCH_AT_LEAST(2, 0)

at::Tensor Attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  return at::scaled_dot_product_attention(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), {}, 0.0, causal).squeeze(0);
}

#else

// libtorch 1.13 has no public fused kernel. Blocks of query rows keep the score matrix small; a causal block looks at
// no key behind its last row.
at::Tensor Attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  constexpr int64_t kScoreBytes = int64_t{16} << 20;
  const int64_t heads = q.size(0), rows = q.size(1), keys = k.size(1);
  const int64_t block = std::max<int64_t>(16, kScoreBytes / (4 * heads * keys));
  const at::Tensor queries = q.to(at::kFloat) * (1.0 / std::sqrt(static_cast<double>(q.size(2))));
  const at::Tensor keys_t = k.to(at::kFloat).transpose(1, 2);  // [heads, d, T]
  const at::Tensor values = v.to(at::kFloat);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t end = std::min(rows, begin + block), seen = causal ? end : keys;
    at::Tensor scores = at::bmm(queries.slice(1, begin, end), keys_t.slice(2, 0, seen));  // [heads, block, seen]
    if (causal) {
      const at::Tensor later = at::ones({end - begin, seen}, scores.options().dtype(at::kBool)).triu_(begin + 1);
      scores.masked_fill_(later, -INFINITY);
    }
    parts.push_back(at::bmm(at::softmax(scores, -1), values.slice(1, 0, seen)));  // [heads, block, d]
  }
  return at::cat(parts, 1).to(q.scalar_type());
}

#endif

}  // namespace diptych::nn
