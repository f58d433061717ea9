// Where and in what a model computes: device, dtype, CPU threads. Turns option words into libtorch's values.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <string>

#include "common/memory/machine_facts.h"
#include "common/memory/memory_facts.h"

namespace diptych::nn {

// "auto" (cuda when libtorch sees a GPU, else cpu), "cpu" or "cuda". Throws Error(kInvalidArgument) for another word
// and Error(kFailedPrecondition) when cuda is asked for and there is none.
at::Device ChooseDevice(const std::string& word);

// "bfloat16", "float32" or "auto" (bfloat16 on CUDA, else `cpu_default`). float16 is refused: it overflows these
// models.
at::ScalarType ChooseDtype(const std::string& word, at::Device device, at::ScalarType cpu_default);

// Sets libtorch's threads for the calling thread and those that come after, and OpenBLAS's; 0: one per physical core
// that this process may use. Debian's libtorch starts with one thread. Returns the number set.
int SetThreads(int threads);

// What computes there, for those who ask why it is as fast as it is; nothing of a model.
MachineFacts DescribeMachinery(at::Device device);

// What is free of that GPU's memory now; nothing for a CPU.
std::optional<MemoryRoom> GpuRoom(at::Device device);

}  // namespace diptych::nn
