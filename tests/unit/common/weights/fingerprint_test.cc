#include "common/weights/fingerprint.h"

#include <gtest/gtest.h>

#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::ErrorOf;
using testing::TemporaryFolder;
using testing::WriteText;

const std::string kConfig = "dim 4, layers 2";

// Writes three tensors, possibly sharded, with `changed` added to the first byte of the last one; returns the
// fingerprint.
std::string FingerprintOf(std::vector<TensorSpec> specs, uint64_t max_shard_bytes, uint8_t changed,
                          const std::string& config) {
  const TemporaryFolder folder;
  const auto fill = [&](const TensorSpec& spec, std::span<uint8_t> bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(spec.name[0] + i);
    if (spec.name == "c") bytes[0] = static_cast<uint8_t>(bytes[0] + changed);
  };
  WriteCheckpoint(folder.path(), "model", specs, fill, max_shard_bytes, {});
  const auto checkpoint = Checkpoint::Open(folder.path());
  const std::string alone = CheckpointFingerprint(*checkpoint, config, 1);
  EXPECT_EQ(CheckpointFingerprint(*checkpoint, config, 4), alone) << "threads change the fingerprint";
  return alone;
}

const std::vector<TensorSpec> kSpecs = {{"a", Dtype::F32, {2, 3}}, {"b", Dtype::BF16, {4}}, {"c", Dtype::F32, {5}}};

TEST(CheckpointFingerprint, DoesNotDependOnShardingOrOrder) {
  const std::string single = FingerprintOf(kSpecs, 1 << 20, 0, kConfig);
  EXPECT_EQ(single.size(), 64u);
  EXPECT_EQ(FingerprintOf(kSpecs, 16, 0, kConfig), single);
  EXPECT_EQ(FingerprintOf({kSpecs[2], kSpecs[0], kSpecs[1]}, 32, 0, kConfig), single);
}

TEST(CheckpointFingerprint, ChangesWithEveryFactAboutAWeight) {
  const std::string original = FingerprintOf(kSpecs, 1 << 20, 0, kConfig);
  EXPECT_NE(FingerprintOf(kSpecs, 1 << 20, 1, kConfig), original);
  std::vector<TensorSpec> changed = kSpecs;
  changed[0].shape = {3, 2};
  EXPECT_NE(FingerprintOf(changed, 1 << 20, 0, kConfig), original);
  changed = kSpecs;
  changed[1].dtype = Dtype::F16;
  EXPECT_NE(FingerprintOf(changed, 1 << 20, 0, kConfig), original);
  changed = kSpecs;
  changed[1].name = "bb";
  EXPECT_NE(FingerprintOf(changed, 1 << 20, 0, kConfig), original);
}

TEST(CheckpointFingerprint, SeesTheFactsOfTheConfiguration) {
  EXPECT_NE(FingerprintOf(kSpecs, 1 << 20, 0, "dim 4, layers 3"), FingerprintOf(kSpecs, 1 << 20, 0, kConfig));
}

}  // namespace
}  // namespace diptych
