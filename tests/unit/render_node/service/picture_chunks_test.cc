#include "render_node/service/picture_chunks.h"

#include <string>

#include "common/digest/sha256.h"
#include "common/image/png.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(SendPicture, PiecesAddUpToTheWhole) {
  std::vector<uint8_t> bytes(2 * kMaxPictureChunkBytes + 17);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 31 >> 4);
  std::vector<uint8_t> received;
  int pieces = 0;
  const absl::Status status = SendPicture(bytes, [&](const v1::PictureChunk& chunk) {
    ++pieces;
    EXPECT_EQ(chunk.offset(), static_cast<int64_t>(received.size()));
    EXPECT_LE(chunk.data().size(), static_cast<size_t>(kMaxPictureChunkBytes));
    EXPECT_FALSE(chunk.data().empty());
    EXPECT_EQ(chunk.byte_count(), static_cast<int64_t>(bytes.size()));
    EXPECT_EQ(chunk.sha256(), Sha256Hex(bytes.data(), bytes.size()));
    received.insert(received.end(), chunk.data().begin(), chunk.data().end());
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(pieces, 3);
  EXPECT_EQ(received, bytes);
}

TEST(SendPicture, StopsWhenTheWatcherHasLeft) {
  int pieces = 0;
  const absl::Status status =
      SendPicture(std::vector<uint8_t>(3 * kMaxPictureChunkBytes), [&](const v1::PictureChunk&) {
        ++pieces;
        return false;
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(pieces, 1);
}

TEST(CheckWholePng, TakesWhatOurEncoderMakes) {
  const std::string png = EncodePng({2, 1, {1, 2, 3, 4, 5, 6}}, {});
  EXPECT_TRUE(CheckWholePng({png.begin(), png.end()}).ok());
}

TEST(CheckWholePng, RefusesAFileThatWasCutShort) {
  const std::string png = EncodePng({2, 1, {1, 2, 3, 4, 5, 6}}, {});
  EXPECT_EQ(CheckWholePng({png.begin(), png.end() - 1}).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(CheckWholePng({png.begin() + 1, png.end()}).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(CheckWholePng({}).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace diptych
