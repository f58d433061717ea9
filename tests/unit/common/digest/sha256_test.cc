#include "common/digest/sha256.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

// Test vector of FIPS 180-2, appendix B.1.
TEST(Sha256, GivesThePublishedDigestOfAbc) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PiecesHashLikeTheWhole) {
  Sha256 digest;
  digest.Update("a");
  digest.Update("bc");
  EXPECT_EQ(digest.HexDigest(), Sha256Hex("abc"));
}

TEST(Sha256, FieldsDoNotRunIntoEachOther) {
  Sha256 left, right;
  left.UpdateField("ab");
  left.UpdateField("c");
  right.UpdateField("a");
  right.UpdateField("bc");
  EXPECT_NE(left.HexDigest(), right.HexDigest());
}

}  // namespace
}  // namespace diptych
