#include "coordinator/client/picture_assembly.h"

#include "common/digest/sha256.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

const std::string kPicture = "abcdefghij";

TEST(PictureAssembly, ReturnsWhatWasSentInPieces) {
  PictureAssembly picture;
  ASSERT_TRUE(picture.Add(0, "abcd", 10, Sha256Hex(kPicture)).ok());
  ASSERT_TRUE(picture.Add(4, "efghij", 10, Sha256Hex(kPicture)).ok());
  EXPECT_EQ(picture.Finish().value(), kPicture);
}

TEST(PictureAssembly, RefusesPiecesOutOfOrder) {
  PictureAssembly picture;
  ASSERT_TRUE(picture.Add(0, "abcd", 10, Sha256Hex(kPicture)).ok());
  EXPECT_EQ(picture.Add(5, "fghij", 10, Sha256Hex(kPicture)).code(), absl::StatusCode::kDataLoss);
}

TEST(PictureAssembly, RefusesMoreBytesThanStated) {
  PictureAssembly picture;
  EXPECT_EQ(picture.Add(0, "abcd", 3, Sha256Hex("abc")).code(), absl::StatusCode::kDataLoss);
}

TEST(PictureAssembly, RefusesEmptyAndOversizedPiecesAndAbsurdSizes) {
  EXPECT_FALSE(PictureAssembly().Add(0, "", 10, "").ok());
  EXPECT_FALSE(PictureAssembly().Add(0, std::string(kMaxPicturePiece + 1, 'x'), kMaxPictureBytes, "").ok());
  EXPECT_FALSE(PictureAssembly().Add(0, "a", kMaxPictureBytes + 1, "").ok());
  EXPECT_FALSE(PictureAssembly().Add(0, "a", 0, "").ok());
}

TEST(PictureAssembly, RefusesPiecesThatDisagree) {
  PictureAssembly picture;
  ASSERT_TRUE(picture.Add(0, "abcd", 10, Sha256Hex(kPicture)).ok());
  EXPECT_FALSE(picture.Add(4, "efghij", 11, Sha256Hex(kPicture)).ok());
  EXPECT_FALSE(picture.Add(4, "efghij", 10, Sha256Hex("other")).ok());
}

TEST(PictureAssembly, RefusesAPictureThatIsShortOrOfAnotherChecksum) {
  PictureAssembly early;
  EXPECT_EQ(early.Finish().status().code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(early.Add(0, "abcd", 10, Sha256Hex(kPicture)).ok());
  EXPECT_EQ(early.Finish().status().code(), absl::StatusCode::kDataLoss);
  PictureAssembly wrong;
  ASSERT_TRUE(wrong.Add(0, "abcdefghiX", 10, Sha256Hex(kPicture)).ok());
  EXPECT_EQ(wrong.Finish().status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace diptych
