#include "render_node/jobs/source_picture.h"

#include "common/image/png.h"
#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

std::string Png(int32_t width, int32_t height, uint8_t value) {
  return EncodePng({width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3, value)}, {});
}

class SourcePictureTest : public ::testing::Test {
 protected:
  SourcePictureTest() { std::filesystem::create_directory(path_); }
  InputHash Put(const std::string& bytes) {
    const std::string hash = Sha256Hex(bytes);
    const auto upload = store_->Begin(hash, static_cast<int64_t>(bytes.size()), "a");
    upload->Add(bytes);
    upload->Finish();
    return {hash};
  }
  std::optional<Error> Refusal(const PictureSpec& spec) {
    return ErrorOf([&] { CheckInputs(spec, *store_); });
  }

  TemporaryFolder temporary_;
  const std::filesystem::path path_ = temporary_.path() / "inputs";
  std::unique_ptr<InputStore> store_ = (std::filesystem::create_directory(path_), std::make_unique<InputStore>(path_));
};

TEST_F(SourcePictureTest, ASpecWithoutASourceBeginsAsNoise) {
  EXPECT_FALSE(Refusal({}));
  EXPECT_FALSE(LoadSource({}, *store_, {}));
}

TEST_F(SourcePictureTest, BringsTheSourceAndItsMaskToTheSize) {
  PictureSpec spec{.width = 32, .height = 16};
  spec.source = Put(Png(64, 64, 200));
  spec.mask = Put(Png(64, 64, 255));
  EXPECT_FALSE(Refusal(spec));
  const std::optional<PreparedSource> prepared = LoadSource(spec, *store_, {});
  ASSERT_TRUE(prepared);
  EXPECT_EQ(prepared->picture.width, 32);
  EXPECT_EQ(prepared->picture.height, 16);
  EXPECT_EQ(prepared->picture.rgb[0], 200);
  ASSERT_TRUE(prepared->mask);
  EXPECT_EQ(prepared->mask->grey.size(), 32u * 16u);
}

TEST_F(SourcePictureTest, IsSmallUpTo64MiBOfPictureMaskAndWhatIsPastedBackInto) {
  EXPECT_FALSE(IsSmallSource({}, *store_));
  PictureSpec spec{.width = 4096, .height = 4096};
  spec.source = Put(Png(64, 64, 200));
  EXPECT_TRUE(IsSmallSource(spec, *store_));
  spec.inpaint_crop = 8;
  EXPECT_FALSE(IsSmallSource(spec, *store_)) << "12 kB of source more";
  spec.height = 4080;
  EXPECT_TRUE(IsSmallSource(spec, *store_));
  spec.inpaint_crop.reset();
  spec.height = 4112;
  EXPECT_FALSE(IsSmallSource(spec, *store_));
}

TEST_F(SourcePictureTest, NamesTheRoleOfAnInputThatIsNoPicture) {
  PictureSpec spec{.width = 32, .height = 16};
  spec.source = Put("GIF89a and more of it");
  EXPECT_TRUE(Says(Refusal(spec)->what(), "source: ")) << Refusal(spec)->what();
  EXPECT_EQ(Refusal(spec)->code(), ErrorCode::kInvalidArgument);
  spec.source = Put(Png(64, 64, 200));
  spec.mask = Put(Png(64, 32, 255));
  EXPECT_EQ(std::string(Refusal(spec)->what()),
            "mask: it has 64x32 pixels, the source 64x64; they must have the same size");
}

TEST_F(SourcePictureTest, AnInputThatIsGoneSaysSo) {
  PictureSpec spec{.width = 32, .height = 16};
  spec.source = Put(Png(64, 64, 200));
  std::filesystem::remove(path_ / spec.source.hex);
  const std::optional<Error> error = ErrorOf([&] { LoadSource(spec, *store_, {}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kDataLoss);
  EXPECT_TRUE(Says(error->what(), "it is not there any more; upload it again")) << error->what();
}

}  // namespace
}  // namespace diptych
