#include "common/nn/layers.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/nn/pieces.h"
#include "common/nn/torch_version.h"

namespace diptych::nn {

at::Tensor RmsNorm::operator()(const at::Tensor& x) const {
  const at::Tensor wide = x.to(at::kFloat);  // no copy when it is fp32 already
  const at::Tensor rsqrt = wide.square().mean(-1, /*keepdim=*/true).add_(eps).rsqrt_();
  return (wide * rsqrt).to(x.scalar_type()).mul_(weight);
}

namespace {

// Both products, for each query row.
double AttentionFlopsPerRow(const at::Tensor& q, int64_t keys) {
  return 4.0 * static_cast<double>(q.size(0)) * static_cast<double>(keys) * static_cast<double>(q.size(2));
}

}  // namespace

#if DIPTYCH_TORCH_AT_LEAST(2, 0)

// The kernel is called once, or, for very long sequences, once for each part of the query rows. Then a causal part says
// with a mask what the kernel's own causality would say of all rows.
at::Tensor Attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  const int64_t rows = q.size(1), keys = k.size(1);
  const int64_t block = RowsOfAPiece(rows, AttentionFlopsPerRow(q, keys), q.device());
  const at::Tensor queries = q.unsqueeze(0), all_keys = k.unsqueeze(0), values = v.unsqueeze(0);
  if (block >= rows) {
    at::Tensor mixed = at::scaled_dot_product_attention(queries, all_keys, values, {}, 0.0, causal).squeeze(0);
    Worked(AttentionFlopsPerRow(q, keys) * static_cast<double>(rows), mixed);
    return mixed;
  }
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t end = std::min(rows, begin + block), seen = causal ? end : keys;
    at::Tensor mask;  // [block, seen]
    if (causal) mask = at::ones({end - begin, seen}, q.options().dtype(at::kBool)).tril_(begin);
    parts.push_back(at::scaled_dot_product_attention(queries.slice(2, begin, end), all_keys.slice(2, 0, seen),
                                                     values.slice(2, 0, seen), mask, 0.0, false));
    Worked(AttentionFlopsPerRow(q, seen) * static_cast<double>(end - begin), parts.back());
  }
  return at::cat(parts, 2).squeeze(0);
}

#else

// libtorch 1.13 has no public fused kernel. Blocks of query rows keep the score matrix small; a causal block looks at
// no key behind its last row.
at::Tensor Attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  constexpr int64_t kScoreBytes = int64_t{16} << 20;
  const int64_t heads = q.size(0), rows = q.size(1), keys = k.size(1);
  const int64_t block = std::min(std::max<int64_t>(16, kScoreBytes / (4 * heads * keys)),
                                 RowsOfAPiece(rows, AttentionFlopsPerRow(q, keys), q.device()));
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(2)));
  const at::Tensor keys_t = k.to(at::kFloat).transpose(1, 2);  // [heads, d, T]
  const at::Tensor values = v.to(at::kFloat);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t end = std::min(rows, begin + block), seen = causal ? end : keys;
    const at::Tensor queries = q.slice(1, begin, end).to(at::kFloat) * scale;
    at::Tensor scores = at::bmm(queries, keys_t.slice(2, 0, seen));  // [heads, block, seen]
    if (causal) {
      const at::Tensor later = at::ones({end - begin, seen}, scores.options().dtype(at::kBool)).triu_(begin + 1);
      scores.masked_fill_(later, -INFINITY);
    }
    parts.push_back(at::bmm(at::softmax(scores, -1), values.slice(1, 0, seen)));  // [heads, block, d]
    Worked(AttentionFlopsPerRow(q, seen) * static_cast<double>(end - begin), parts.back());
  }
  return at::cat(parts, 1).to(q.scalar_type());
}

#endif

}  // namespace diptych::nn
