#include "common/wire/machine_codec.h"

namespace diptych {
namespace {

uint64_t Bytes(int64_t number) { return number > 0 ? static_cast<uint64_t>(number) : 0; }

std::optional<MemoryRoom> Room(int64_t bytes, const std::string& set_by) {
  if (bytes <= 0) return std::nullopt;
  return MemoryRoom{Bytes(bytes), set_by};
}

}  // namespace

v1::Machine ToProto(const MachineFacts& machine, const MemoryFacts& memory) {
  v1::Machine message;
  message.set_weight_bytes(static_cast<int64_t>(machine.weights_copied));
  message.set_mapped_bytes(static_cast<int64_t>(machine.weights_mapped));
  message.set_work_bytes(static_cast<int64_t>(machine.work));
  if (const auto now = RoomNow(memory)) {
    message.set_available_bytes(static_cast<int64_t>(now->bytes));
    message.set_limited_by(now->set_by);
  }
  if (const auto most = RoomAtMost(memory)) message.set_total_bytes(static_cast<int64_t>(most->bytes));
  message.set_libtorch(machine.libtorch);
  message.set_blas(machine.blas);
  message.set_gpu(machine.gpu);
  message.set_gpu_total_bytes(static_cast<int64_t>(machine.gpu_total));
  return message;
}

MachineReport FromProto(const v1::Machine& machine) {
  return {.facts = {.libtorch = machine.libtorch(),
                    .blas = machine.blas(),
                    .gpu = machine.gpu(),
                    .gpu_total = Bytes(machine.gpu_total_bytes()),
                    .weights_copied = Bytes(machine.weight_bytes()),
                    .weights_mapped = Bytes(machine.mapped_bytes()),
                    .work = Bytes(machine.work_bytes())},
          .available = Room(machine.available_bytes(), machine.limited_by()),
          .total = Room(machine.total_bytes(), "")};
}

}  // namespace diptych
