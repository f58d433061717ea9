#include "coordinator/order/source_files.h"

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "common/image/png.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::string Png(int32_t width, int32_t height) {
  return EncodePng({width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3, 99)}, {});
}

std::string Files(const std::string& name) {
  if (name == "source.png") return Png(100, 60);
  if (name == "mask.png") return Png(100, 60);
  if (name == "other.png") return Png(60, 100);
  return "GIF89a, an old picture";
}

std::string Refusal(const SourceFiles& files, PictureSpec spec = {}) {
  InputBytes inputs;
  try {
    PutSourceFiles(files, Files, spec, inputs);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(SourceFiles, AreNamedByTheirBytes) {
  PictureSpec spec;
  InputBytes inputs;
  const PictureSize size = PutSourceFiles(
      {"source.png", "other.png"},
      [](const std::string& name) { return name == "source.png" ? Png(100, 60) : Png(100, 60) + "behind"; }, spec,
      inputs);
  EXPECT_EQ(size.width, 100);
  EXPECT_EQ(spec.source.hex, Sha256Hex(Png(100, 60)));
  EXPECT_EQ(inputs.size(), 2u);
  EXPECT_EQ(*inputs.at(spec.source.hex), Png(100, 60));
}

TEST(SourceFiles, OneFileForBothRolesIsOneInput) {
  PictureSpec spec;
  InputBytes inputs;
  PutSourceFiles({"source.png", "mask.png"}, Files, spec, inputs);
  EXPECT_EQ(spec.source, spec.mask);
  EXPECT_EQ(inputs.size(), 1u);
}

TEST(SourceFiles, NameTheFileThatIsWrong) {
  EXPECT_EQ(Refusal({"source.png", "other.png"}),
            "other.png: the mask has 60x100 pixels, source.png has 100x60; they must have the same size");
  EXPECT_EQ(Refusal({"source.png", ""}, {.mask_from_alpha = true}),
            "source.png: nothing in it is transparent, so its alpha is no mask; name one with --mask FILE");
  EXPECT_EQ(Refusal({"old.gif", ""}).substr(0, 9), "old.gif: ");
}

TEST(SourceFiles, ThePictureHasTheSourcesSizeDownToAMultiple) {
  PictureSpec spec;
  TakeSizeOf({100, 60, false}, true, true, spec);
  EXPECT_EQ(spec.width, 96);
  EXPECT_EQ(spec.height, 48);
  spec.extend_right = 30;
  TakeSizeOf({100, 60, false}, true, false, spec);
  EXPECT_EQ(spec.width, 128);
  TakeSizeOf({3, 3, false}, false, true, spec);
  EXPECT_EQ(spec.height, 16);
}

TEST(ParseExtend, TakesFourNumbers) {
  EXPECT_EQ(ParseExtend("1,2,30,0"), (Extend{1, 2, 30, 0}));
  for (const char* wrong :
       {"", "1", "1,2,3", "1,2,3,4,5", "1,2,3,", "-1,0,0,0", "1,2,x,4", "1, 2,3,4", "99999,0,0,0"}) {
    EXPECT_THROW(ParseExtend(wrong), Error) << wrong;
  }
}

}  // namespace
}  // namespace diptych
