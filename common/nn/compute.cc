#include "common/nn/compute.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <future>
#include <new>
#include <thread>
#include <vector>

#include "common/concurrency/physical_cores.h"
#include "common/error/error.h"
#include "common/nn/torch_version.h"

// OpenBLAS, when it is the libblas.so.3 below libtorch, else null. Its pthread build keeps threads of its own, which
// at::set_num_threads does not know of.
extern "C" __attribute__((weak)) void openblas_set_num_threads(int threads);
extern "C" __attribute__((weak)) char* openblas_get_config();
extern "C" __attribute__((weak)) char* openblas_get_corename();

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

namespace {

// Throws where the system has no room for as many threads or for a buffer of OpenBLAS, which libraries would wait for
// without end.
void TryThreads(int threads) {
  constexpr size_t kBlasBuffer = size_t{128} << 20;
  std::vector<std::jthread> tried;
  std::promise<void> end;  // goes first, and all with it
  const std::shared_future<void> ended = end.get_future().share();
  for (int i = 0; i < threads; ++i) tried.emplace_back([ended] { ended.wait(); });
  if (openblas_set_num_threads != nullptr) ::operator delete(::operator new(kBlasBuffer));
}

}  // namespace

int SetThreads(int threads) {
  if (threads <= 0) threads = PhysicalCores();
  if (threads != at::get_num_threads()) TryThreads(threads);
  at::set_num_threads(threads);
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(threads);
  return threads;
}

namespace {

// By name, because the headers of a CPU build know nothing of CUDA. libtorch's CUDA part has loaded both libraries.
template <typename Function>
Function* Loaded(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

std::string GpuName(int index) {
  const auto get = Loaded<int(char*, int, int)>("cuDeviceGetName");
  char name[256] = "";
  return get != nullptr && get(name, sizeof name, index) == 0 ? name : "a GPU";
}

int IndexOf(at::Device device) { return device.has_index() ? device.index() : 0; }

struct GpuBytes {
  size_t free = 0, total = 0;
};

// Of the current GPU, which is the first: ChooseDevice gives no other.
GpuBytes GpuMemory() {
  const auto get = Loaded<int(size_t*, size_t*)>("cudaMemGetInfo");
  GpuBytes bytes;
  return get != nullptr && get(&bytes.free, &bytes.total) == 0 ? bytes : GpuBytes{};
}

}  // namespace

MachineFacts DescribeMachinery(at::Device device) {
  MachineFacts found;
  found.libtorch = TORCH_VERSION;
  if (openblas_get_config != nullptr) {
    // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...": name and version, and the core that it takes this one for
    const std::string config = openblas_get_config();
    found.blas = config.substr(0, config.find(' ', config.find(' ') + 1));
    if (openblas_get_corename != nullptr) found.blas += std::string(" for ") + openblas_get_corename();
  } else if (at::hasMKL()) {
    found.blas = "MKL";
  }
  if (!device.is_cuda()) return found;
  found.gpu = GpuName(IndexOf(device));
  found.gpu_total = GpuMemory().total;
  return found;
}

std::optional<MemoryRoom> GpuRoom(at::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  const GpuBytes memory = GpuMemory();
  if (memory.total == 0) return std::nullopt;
  return MemoryRoom{memory.free, "free on " + GpuName(IndexOf(device))};
}

}  // namespace diptych::nn
