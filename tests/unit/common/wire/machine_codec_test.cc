#include "common/wire/machine_codec.h"

#include <gtest/gtest.h>

namespace diptych {
namespace {

TEST(MachineCodec, KeepsEveryField) {
  const MachineFacts facts{.libtorch = "1.13.1",
                           .blas = "OpenBLAS 0.3.21",
                           .gpu = "NVIDIA H200",
                           .gpu_total = 6,
                           .weights_copied = 1,
                           .weights_mapped = 2,
                           .work = 3};
  MemoryFacts memory;
  memory.total = 10;
  memory.available = 5;
  memory.groups = {{.path = "/a", .limit = 8, .used = 4, .reclaimable = 0}};
  const MachineReport report = FromProto(ToProto(facts, memory));
  EXPECT_EQ(report.facts.libtorch, "1.13.1");
  EXPECT_EQ(report.facts.blas, "OpenBLAS 0.3.21");
  EXPECT_EQ(report.facts.gpu, "NVIDIA H200");
  EXPECT_EQ(report.facts.gpu_total, 6u);
  EXPECT_EQ(report.facts.weights_copied, 1u);
  EXPECT_EQ(report.facts.weights_mapped, 2u);
  EXPECT_EQ(report.facts.work, 3u);
  EXPECT_EQ(report.available->bytes, 4u);
  EXPECT_EQ(report.available->set_by, "the limit of control group /a");
  EXPECT_EQ(report.total->bytes, 8u);
}

TEST(MachineCodec, SaysNothingOfWhatIsNotKnown) {
  const MachineReport report = FromProto(ToProto({}, {}));
  EXPECT_FALSE(report.available);
  EXPECT_FALSE(report.total);
}

}  // namespace
}  // namespace diptych
