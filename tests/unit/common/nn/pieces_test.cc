#include "common/nn/pieces.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>
#include <vector>

#include "common/error/error.h"
#include "common/nn/layers.h"
#include "gtest/gtest.h"

namespace diptych::nn {
namespace {

// Counts the looks, and leaves at the one asked for.
struct Looks {
  const Pause pause = [this] {
    if (++count == leave_at) throw Error(ErrorCode::kCancelled, "cancelled");
  };
  int count = 0;
  int leave_at = 0;
};

double Distance(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(Pieces, WorkThatIsShortIsNotCut) {
  EXPECT_EQ(RowsOfAPiece(4096, kPieceFlops / 4096, at::kCPU), 4096);
  EXPECT_EQ(RowsOfAPiece(4097, kPieceFlops / 4096, at::kCPU), 2064);
  EXPECT_EQ(RowsOfAPiece(0, 1e12, at::kCPU), 0);
}

TEST(Pieces, AreOfEqualSizeAndOneMayBeLargerThanItsLimit) {
  const PauseScope scope({}, 100);
  EXPECT_EQ(RowsOfAPiece(1000, 1, at::kCPU), 112) << "10 parts, each a multiple of 16";
  EXPECT_EQ(RowsOfAPiece(1000, 1e6, at::kCPU), 16);
  EXPECT_EQ(RowsOfAPiece(5, 1e6, at::kCPU), 5);
}

TEST(Pieces, ByRowsGivesWhatTheWholeGivesAndLooksAfterEachPiece) {
  const at::Tensor x = at::rand({100, 3});
  std::vector<std::pair<int64_t, int64_t>> seen;
  const auto twice = [&](const at::Tensor& rows, int64_t begin) {
    seen.emplace_back(begin, rows.size(0));
    return at::cat({rows * 2, rows}, 1);
  };
  Looks looks;
  {
    const PauseScope scope(looks.pause, 32);
    EXPECT_TRUE(ByRows(x, 1, twice).equal(at::cat({x * 2, x}, 1)));
  }
  EXPECT_EQ(seen, (std::vector<std::pair<int64_t, int64_t>>{{0, 32}, {32, 32}, {64, 32}, {96, 4}}));
  EXPECT_EQ(looks.count, 4);
  seen.clear();
  EXPECT_TRUE(ByRows(x, 1, twice).equal(at::cat({x * 2, x}, 1)));
  EXPECT_EQ(seen, (std::vector<std::pair<int64_t, int64_t>>{{0, 100}})) << "nobody looks, nothing is long";
}

TEST(Pieces, TheInnermostScopeLooks) {
  Looks outer, inner;
  const PauseScope scope(outer.pause, 64);
  {
    const PauseScope nested(inner.pause);
    Worked(1, at::Tensor(at::zeros({1})));
    EXPECT_EQ(PieceFlops(at::kCPU), 64);
  }
  Worked(1, at::zeros({1}));
  EXPECT_EQ(std::pair(outer.count, inner.count), std::pair(1, 1));
}

// Both ways of asking, with and without the mask of a causal model.
TEST(Pieces, AttentionInPiecesIsAttention) {
  const at::Tensor q = at::randn({2, 100, 8}), k = at::randn({2, 100, 8}), v = at::randn({2, 100, 8});
  const double flops_per_row = 4.0 * 2 * 100 * 8;
  for (const bool causal : {false, true}) {
    const at::Tensor whole = Attention(q, k, v, causal);
    Looks looks;
    const PauseScope scope(looks.pause, 32 * flops_per_row);
    EXPECT_LT(Distance(Attention(q, k, v, causal), whole), 1e-5) << causal;
    EXPECT_EQ(looks.count, 4) << causal;
  }
}

TEST(Pieces, MoreRowsAreLookedAtMoreOftenAndWhoLeavesStopsTheWork) {
  Looks looks;
  int done = 0;
  const auto work = [&](const at::Tensor& rows, int64_t) {
    ++done;
    return rows;
  };
  for (const int64_t rows : {160, 1600}) {
    looks.count = 0;
    const PauseScope scope(looks.pause, 16);
    ByRows(at::zeros({rows, 1}), 1, work);
    EXPECT_EQ(looks.count, rows / 16);
  }
  done = looks.count = 0;
  looks.leave_at = 3;
  const PauseScope scope(looks.pause, 16);
  EXPECT_THROW(ByRows(at::zeros({1600, 1}), 1, work), Error);
  EXPECT_EQ(done, 3);
}

}  // namespace
}  // namespace diptych::nn
