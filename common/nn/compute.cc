#include "common/nn/compute.h"

#include <ATen/Parallel.h>

#include "common/concurrency/physical_cores.h"
#include "common/error/error.h"

// OpenBLAS, when it is the libblas.so.3 below libtorch, else null. Its pthread build keeps threads of its own, which
// at::set_num_threads does not know of.
extern "C" __attribute__((weak)) void openblas_set_num_threads(int threads);

namespace diptych::nn {

at::Device ChooseDevice(const std::string& word) {
  if (word == "auto") return at::hasCUDA() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  if (word == "cpu") return at::Device(at::kCPU);
  if (word != "cuda") {
    throw Error(ErrorCode::kInvalidArgument, "device \"" + word + "\" is not one of auto, cpu, cuda");
  }
  if (!at::hasCUDA()) {
    throw Error(ErrorCode::kFailedPrecondition, "device cuda: this libtorch sees no CUDA GPU");
  }
  return at::Device(at::kCUDA, 0);
}

at::ScalarType ChooseDtype(const std::string& word, at::Device device, at::ScalarType cpu_default) {
  if (word == "auto") return device.is_cuda() ? at::kBFloat16 : cpu_default;
  if (word == "bfloat16") return at::kBFloat16;
  if (word == "float32") return at::kFloat;
  throw Error(ErrorCode::kInvalidArgument,
              "dtype \"" + word + "\" is not one of auto, bfloat16, float32 (float16 overflows these models)");
}

int SetThreads(int threads) {
  if (threads <= 0) threads = PhysicalCores();
  at::set_num_threads(threads);
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(threads);
  return threads;
}

}  // namespace diptych::nn
