#include "common/nn/matrix.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "common/nn/pieces.h"
#include "common/weights/dequantize.h"

namespace diptych::nn {
namespace {

// Values that are dequantised at a time: as bfloat16 they stay in a cache of 4 MB, and a product of so many is not much
// slower than one of the whole matrix.
constexpr int64_t kBlockValues = int64_t{1} << 21;
// For one thread of several: less is done sooner than another is woken.
constexpr int64_t kValuesForAThread = int64_t{1} << 15;

void Dequantise(const QuantisedTensor& from, int64_t row, float* out) {
  Dequantize(from.dtype, from.data + row * from.row_bytes, from.columns, out);
  if (from.scales.empty()) return;
  const float scale = from.scales[from.scales.size() == 1 ? 0 : static_cast<size_t>(row)];
  for (int64_t i = 0; i < from.columns; ++i) out[i] *= scale;
}

// `row_of(i)` is the row that becomes row i of `out`, [n, columns] in fp32, bf16, fp16 or fp64 on the CPU.
template <typename RowOf>
void DequantiseRows(const QuantisedTensor& from, at::Tensor& out, const RowOf& row_of) {
  const int64_t columns = from.columns;
  at::parallel_for(0, out.size(0), std::max<int64_t>(1, kValuesForAThread / columns), [&](int64_t begin, int64_t end) {
    if (out.scalar_type() == at::kFloat) {
      for (int64_t i = begin; i < end; ++i) Dequantise(from, row_of(i), out.data_ptr<float>() + i * columns);
      return;
    }
    std::vector<float> row(static_cast<size_t>(columns));
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, out.scalar_type(), "DequantiseRows", [&] {
      for (int64_t i = begin; i < end; ++i) {
        Dequantise(from, row_of(i), row.data());
        scalar_t* const to = out.data_ptr<scalar_t>() + i * columns;
        for (int64_t j = 0; j < columns; ++j) to[j] = static_cast<scalar_t>(row[static_cast<size_t>(j)]);
      }
    });
  });
}

}  // namespace

Matrix::Matrix(const WeightView& w, int64_t rows, int64_t columns)
    : rows_(rows), columns_(columns), options_(at::TensorOptions().device(w.device()).dtype(w.dtype())) {
  if (w.device().is_cpu()) {
    if (const std::optional<QuantisedTensor> found = w.Quantised({rows, columns})) {
      quantised_ = *found;
      return;
    }
  }
  dense_ = w.Tensor({rows, columns});
}

at::Tensor Matrix::Linear(const at::Tensor& x, const at::Tensor& bias) const {
  const double flops_per_value = 2.0 * static_cast<double>(x.numel() / std::max<int64_t>(1, columns_));
  const auto worked = [&](int64_t rows, const at::Tensor& y) {
    Worked(flops_per_value * static_cast<double>(rows * columns_), y);
  };
  if (dense_.defined()) {
    at::Tensor y = at::linear(x, dense_, bias);
    worked(rows_, y);
    return y;
  }
  const int64_t most = std::clamp<int64_t>(kBlockValues / columns_, 1, rows_);
  at::Tensor scratch = at::empty({most, columns_}, options_), y;
  for (int64_t begin = 0; begin < rows_; begin += most) {
    const int64_t count = std::min(most, rows_ - begin);
    at::Tensor some = scratch.narrow(0, 0, count);
    DequantiseRows(quantised_, some, [&](int64_t i) { return begin + i; });
    at::Tensor part = at::linear(x, some, bias.defined() ? bias.narrow(0, begin, count) : bias);
    worked(count, part);
    if (count == rows_) return part;
    if (begin == 0) {
      std::vector<int64_t> shape = part.sizes().vec();
      shape.back() = rows_;
      y = at::empty(shape, part.options());
    }
    y.narrow(-1, begin, count).copy_(part);
  }
  return y;
}

at::Tensor Matrix::Rows(const at::Tensor& ids) const {
  if (dense_.defined()) return dense_.index_select(0, ids);
  at::Tensor some = at::empty({ids.numel(), columns_}, options_);
  const at::Tensor numbers = ids.contiguous();
  DequantiseRows(quantised_, some, [&](int64_t i) { return numbers.data_ptr<int64_t>()[i]; });
  return some;
}

}  // namespace diptych::nn
