#include "coordinator/cli/machine_text.h"

#include <gtest/gtest.h>

#include "coordinator/cli/checks.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::BytesOf;
using testing::TemporaryFolder;

TEST(MachineText, NamesWhatComputes) {
  MachineFacts facts{.libtorch = "1.13.1", .blas = "OpenBLAS 0.3.21 for SkylakeX"};
  EXPECT_EQ(MachineText(facts), "libtorch 1.13.1, OpenBLAS 0.3.21 for SkylakeX, no GPU");
  facts.blas = "MKL";
  facts.gpu = "NVIDIA H200";
  facts.gpu_total = 150'000'000'000;
  EXPECT_EQ(MachineText(facts), "libtorch 1.13.1, MKL, NVIDIA H200 with 150 GB");
}

TEST(MachineText, TellsNeedAndAvailable) {
  const MachineReport machine{
      .facts = {.weights_copied = 400'000'000, .weights_mapped = 12'000'000'000, .work = 2'000'000'000},
      .available = MemoryRoom{18'200'000'000, ""},
      .total = MemoryRoom{25'300'000'000, ""}};
  EXPECT_EQ(MemoryText(machine, 4096),
            "400 MB of weights, 12.0 GB in mapped files, 2.0 GB for a picture of the usual size; available 18.2 GB of "
            "25.3 GB; up to 4096x4096");
}

// A checkpoint of 1 MB a part.
class MemoryOfThisMachine : public ::testing::Test {
 protected:
  MemoryOfThisMachine() {
    options_.model_path = folder_.path();
    for (const char* part : {"text_encoder", "transformer", "vae"}) {
      std::filesystem::create_directories(folder_ / part);
      WriteSafetensors(folder_ / part + "/model.safetensors", {{{"w", Dtype::BF16, {500'000}}, BytesOf(values_)}});
    }
  }
  Check Found(uint64_t megabytes) const {
    MemoryFacts memory;
    memory.available = megabytes * 1'000'000;
    std::vector<Check> checks;
    CheckMemory(options_, memory, checks);
    return checks.at(0);
  }

  const std::vector<uint16_t> values_ = std::vector<uint16_t>(500'000);
  const TemporaryFolder folder_;
  PrivateOptions options_;
};

TEST_F(MemoryOfThisMachine, SaysInWhichFormatTheCheckpointFits) {
  EXPECT_EQ(Found(100).found,
            "text encoder 1.0 MB in mapped files; transformer 2.0 MB of memory in float32, 1.0 MB in mapped files in "
            "bfloat16; VAE 2.0 MB of memory; available 100 MB: fits in float32");
  EXPECT_NE(Found(3).found.find("available 3.0 MB: fits in bfloat16"), std::string::npos) << Found(3).found;
  EXPECT_TRUE(Found(3).ok);
}

TEST_F(MemoryOfThisMachine, IsAProblemWhereNoFormatFits) {
  const Check check = Found(1);
  EXPECT_FALSE(check.ok);
  EXPECT_NE(check.found.find("available 1.0 MB: this machine cannot hold them"), std::string::npos) << check.found;
}

}  // namespace
}  // namespace diptych
