#include "coordinator/cli/machine_text.h"

#include "absl/strings/str_cat.h"

namespace diptych {

std::string MachineText(const MachineFacts& facts) {
  return absl::StrCat("libtorch ", facts.libtorch, ", ", facts.blas.empty() ? "an unknown BLAS" : facts.blas, ", ",
                      facts.gpu.empty() ? "no GPU" : absl::StrCat(facts.gpu, " with ", BytesText(facts.gpu_total)));
}

std::string MemoryText(const MachineReport& machine, int32_t largest_side) {
  const MachineFacts& facts = machine.facts;
  std::string text = absl::StrCat(BytesText(facts.weights_copied), " of weights");
  if (facts.weights_mapped > 0) absl::StrAppend(&text, ", ", BytesText(facts.weights_mapped), " in mapped files");
  absl::StrAppend(&text, ", ", BytesText(facts.work), " for a picture of the usual size; available ",
                  machine.available ? RoomText(*machine.available) : "not known");
  if (machine.total) absl::StrAppend(&text, " of ", BytesText(machine.total->bytes));
  if (largest_side > 0) absl::StrAppend(&text, "; up to ", largest_side, "x", largest_side);
  return text;
}

}  // namespace diptych
