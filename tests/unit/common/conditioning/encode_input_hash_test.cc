#include "common/conditioning/encode_input_hash.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

// Stored rows, saved embeddings and encoders of earlier versions name a text like this.
TEST(EncodeInputHash, OfTextAloneIsTheHashOfItsBytes) {
  EXPECT_EQ(EncodeInputHash(EncodeInputOf({.user = "a cat"})),
            "2aee6c7d3d1bec8341885ed89da78533c0ff6b0a39df3675dfb5cac1525be552");
  EXPECT_EQ(EncodeInputHash({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace diptych
