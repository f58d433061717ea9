// Tensor work of seconds and more, cut into pieces between which a pause is called (common/concurrency/pause.h).
//
// A piece has a size in arithmetic, not in time, so that the cuts, and with them the rounding, depend on the shapes
// alone and a picture is the same whatever else the machine does. Work that is smaller than a piece is not cut at all,
// and is the same to the bit as without this file.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/concurrency/pause.h"

namespace diptych::nn {

// Multiplications and additions, of a CPU about a second's work in fp32: two cores with AVX-512 do 50 to 150 billion
// a second. A GPU does a thousand times as many and loses by short work.
inline constexpr double kPieceFlops = 64e9, kCudaPieceFlops = 20e12;

// So long as about so many of them takes what is done to one value in memory by a norm or an activation.
inline constexpr double kFlopsPerValue = 100;

// While it lives, work of this thread pauses. As at::InferenceMode a guard of the thread: layers need not hand it on.
// The innermost holds; `pause` outlives it.
class PauseScope {
 public:
  // `piece_flops` above 0: pieces of this size, on whatever device, in the scopes inside as well; for tests.
  explicit PauseScope(const Pause& pause, double piece_flops = 0);
  ~PauseScope();
  PauseScope(const PauseScope&) = delete;
  PauseScope& operator=(const PauseScope&) = delete;

 private:
  friend void Worked(double flops, const at::Tensor& result);
  friend double PieceFlops(const at::Device& device);
  const Pause& pause_;
  const double piece_flops_;
  PauseScope* const outer_;
  double since_wait_ = 0;  // flops that a GPU was given since it was last waited for
};

// A piece is done that took so many flops and ends in `result`: pauses. A GPU, which is given work far ahead of its
// doing, is waited for first, once in kCudaPieceFlops. Throws what the pause throws.
void Worked(double flops, const at::Tensor& result);

// The size of a piece on this device.
double PieceFlops(const at::Device& device);

// How many of `rows` to take at a time: all when that is one piece, else equal parts, a multiple of 16 but the last.
int64_t RowsOfAPiece(int64_t rows, double flops_per_row, const at::Device& device);

// f(x) for an f that makes row i of its result from row i of x alone, in pieces. `flops_per_row`: of f's largest single
// operation, for operations pause, too. f is called with some rows and the number of the first, and may return
// a view.  x [S, ...] -> [S, ...]
template <typename F>
at::Tensor ByRows(const at::Tensor& x, double flops_per_row, const F& f) {
  const int64_t rows = x.size(0), piece = RowsOfAPiece(rows, flops_per_row, x.device());
  at::Tensor all;
  for (int64_t begin = 0; begin < rows; begin += piece) {
    const at::Tensor part = f(piece >= rows ? x : x.narrow(0, begin, std::min(piece, rows - begin)), begin);
    Worked(flops_per_row * static_cast<double>(part.size(0)), part);
    if (piece >= rows) return part;
    if (begin == 0) {
      std::vector<int64_t> shape = part.sizes().vec();
      shape[0] = rows;
      all = at::empty(shape, part.options());
    }
    all.narrow(0, begin, part.size(0)).copy_(part);
  }
  return all;
}

}  // namespace diptych::nn
