#include "common/weights/shapes.h"

#include <gtest/gtest.h>

#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::ErrorOf;
using testing::TemporaryFolder;

TEST(Shapes, TellSizesAndNumbersOrSayWhatTheyLack) {
  const TemporaryFolder folder;
  const auto zeros = [](const TensorSpec&, std::span<uint8_t> bytes) { std::fill(bytes.begin(), bytes.end(), 0); };
  WriteCheckpoint(folder.path(), "model",
                  {{"layers.0.w", Dtype::F32, {6, 4}},
                   {"layers.1.w", Dtype::F32, {6, 4}},
                   {"layers.3.w", Dtype::F32, {6, 4}},
                   {"layers.10.w", Dtype::F32, {6, 4}},
                   {"empty", Dtype::F32, {0, 4}}},
                  zeros, 1 << 20, {});
  const auto checkpoint = Checkpoint::Open(folder.path());
  const Shapes shapes(*checkpoint);
  EXPECT_EQ(shapes.Of("layers.0.w", 2), (std::vector<int64_t>{6, 4}));
  EXPECT_EQ(shapes.Count("layers."), 2) << "up to the first that is missing";
  EXPECT_EQ(shapes.Quotient(6, 3, "a and b"), 2);
  EXPECT_TRUE(shapes.Has("empty"));
  const std::string begin =
      folder.path() + ": no config.json says what it is, and from its tensors it cannot be told: ";
  const std::string end = "; put the config.json of this part of the model beside it";
  EXPECT_EQ(ErrorOf([&] { shapes.Of("layers.0.w", 1); }),
            begin + "layers.0.w has shape [6, 4], expected 1 dimension" + end);
  EXPECT_EQ(ErrorOf([&] { shapes.Of("empty", 2); }), begin + "empty has shape [0, 4], expected 2 dimensions" + end);
  EXPECT_EQ(ErrorOf([&] { shapes.Of("absent", 2); }), begin + "absent is missing" + end);
  EXPECT_EQ(ErrorOf([&] { shapes.Count("blocks."); }), begin + "there is no tensor blocks.0.*" + end);
  EXPECT_EQ(ErrorOf([&] { shapes.Quotient(7, 2, "a and b"); }),
            begin + "a and b do not fit: 7 is no multiple of 2" + end);
}

}  // namespace
}  // namespace diptych
