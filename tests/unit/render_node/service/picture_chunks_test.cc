#include "render_node/service/picture_chunks.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/digest/sha256.h"
#include "common/image/png.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

class PictureChunks : public testing::Test {
 protected:
  ~PictureChunks() override { std::filesystem::remove(path_); }

  PictureFile Stored(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary) << bytes;
    return PictureFile(path_, "");
  }
  absl::StatusCode Checked(const std::string& bytes) const { return CheckWholePng(Stored(bytes)).code(); }

  const std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) / ("picture_chunks_" + std::to_string(getpid()) + ".png");
};

TEST_F(PictureChunks, PiecesAddUpToTheWhole) {
  std::string bytes(2 * kPictureChunkBytes + 17, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 4);
  const PictureFile file = Stored(bytes);
  std::string received;
  int pieces = 0;
  while (received.size() < bytes.size()) {
    const v1::PictureChunk chunk = PictureChunkAt(file, static_cast<int64_t>(received.size()));
    ++pieces;
    EXPECT_EQ(chunk.offset(), static_cast<int64_t>(received.size()));
    EXPECT_LE(chunk.data().size(), static_cast<size_t>(kPictureChunkBytes));
    ASSERT_FALSE(chunk.data().empty());
    EXPECT_EQ(chunk.byte_count(), static_cast<int64_t>(bytes.size()));
    EXPECT_EQ(chunk.sha256(), Sha256Hex(bytes));
    received += chunk.data();
  }
  EXPECT_EQ(pieces, 3);
  EXPECT_EQ(received, bytes);
}

TEST_F(PictureChunks, AFileThatBecameShorterMeanwhileIsLost) {
  const PictureFile file = Stored(std::string(1000, 'x'));
  std::filesystem::resize_file(path_, 10);
  try {
    PictureChunkAt(file, 0);
    FAIL() << "read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  }
}

TEST_F(PictureChunks, BytesOfAnotherNameAreRefused) {
  Stored("other");
  try {
    PictureFile(path_, Sha256Hex("these"));
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  }
}

TEST_F(PictureChunks, TakesWhatOurEncoderMakesAndRefusesAFileThatWasCutShort) {
  const std::string png = EncodePng({2, 1, {1, 2, 3, 4, 5, 6}}, {});
  EXPECT_EQ(Checked(png), absl::StatusCode::kOk);
  EXPECT_EQ(Checked(png.substr(0, png.size() - 1)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Checked(png.substr(1)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Checked(""), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace diptych
