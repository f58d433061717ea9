// In which number format a model fits, decided before any of it is taken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/memory/memory_facts.h"

namespace diptych {

// What a model needs in one number format, in bytes. Weights that are used as they are stored lie in mapped files: page
// cache, which the kernel drops and reads again, so they take no memory from anybody but are slow where they do not
// fit.
struct FormatNeed {
  std::string format;   // "float32"
  uint64_t copied = 0;  // weights in memory of their own
  uint64_t mapped = 0;  // weights in mapped files
  uint64_t work = 0;    // beside them, for what it usually computes
};

// What the choice is made for and beside what.
struct FormatQuestion {
  std::string what;                   // "the transformer and the VAE"
  std::vector<FormatNeed> by_format;  // those that may be chosen, the one liked best first
  uint64_t beside = 0;                // bytes that others on this machine are about to need: an encoder, for instance
  std::string way_out;                // ends a refusal: "--torch-dtype bfloat16 needs less"
};

struct FormatChoice {
  size_t index = 0;     // into by_format
  std::string line;     // for the log: what it needs and what is available, and why nothing better was taken
  std::string warning;  // empty, or that the mapped files are larger than the memory
};

// The first that fits whole, with its mapped files, its work and what others need; else the last that does without the
// others, then without the mapped files, then without the work. Throws Error(kResourceExhausted) with both numbers when
// the copied weights of none fit. Without `room` the first.
FormatChoice ChooseFormat(const FormatQuestion& question, const std::optional<MemoryRoom>& room);

}  // namespace diptych
