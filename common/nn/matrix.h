// A weight of a product, in the form that it is stored in.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "common/weights/weight_view.h"

namespace diptych::nn {

// [rows, columns], as [out, in] in a checkpoint. Plain formats are a tensor in the dtype that is computed in. Quantised
// ones (ggml's blocks, fp8 with or without scales) stay as they are in the mapped file, and a few rows at a time are
// dequantised on the way into a product: each value in fp32, then rounded once to the dtype that is computed in. So
// every result is that of the matrix dequantised as a whole, but for the order in which a kernel sums. On a GPU, and
// where rows are no whole number of blocks, all of it is dequantised when it is read.
class Matrix {
 public:
  // The tensor that `w` names. Throws Error(kInvalidArgument) as WeightView::Tensor does.
  Matrix(const WeightView& w, int64_t rows, int64_t columns);

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  bool is_quantised() const { return !dense_.defined(); }
  at::TensorOptions options() const { return options_; }  // of what it computes with: dtype and device

  // y = x W^T + bias, `bias` [rows] may be undefined.  x [..., columns] -> [..., rows]
  at::Tensor Linear(const at::Tensor& x, const at::Tensor& bias) const;

  // The rows of these numbers, as an embedding takes them.  ids [T], int64 on the device -> [T, columns]
  at::Tensor Rows(const at::Tensor& ids) const;

 private:
  const int64_t rows_, columns_;
  at::TensorOptions options_;
  at::Tensor dense_;             // or else:
  QuantisedTensor quantised_{};  // [rows, columns]
};

}  // namespace diptych::nn
