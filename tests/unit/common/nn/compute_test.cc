#include "common/nn/compute.h"

#include <chrono>
#include <ctime>

#include "gtest/gtest.h"

namespace diptych::nn {
namespace {

// Processor seconds of this process per second of products of large matrices.
double CoresAtWork() {
  const at::Tensor a = at::ones({1024, 1024}), b = at::ones({1024, 1024});
  at::matmul(a, b);
  const std::clock_t processor = std::clock();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) at::matmul(a, b);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC / wall.count();
}

TEST(SetThreads, OneThreadIsOneThreadAlsoInTheBlas) {
  SetThreads(1);
  EXPECT_LT(CoresAtWork(), 1.2);
}

TEST(SetThreads, ReturnsTheNumberSet) {
  EXPECT_EQ(SetThreads(2), 2);
  EXPECT_GE(SetThreads(0), 1);
}

}  // namespace
}  // namespace diptych::nn
