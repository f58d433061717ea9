#include "common/memory/format_choice.h"

#include <gtest/gtest.h>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr uint64_t kGB = 1'000'000'000;

// The real transformer and VAE.
FormatQuestion Real() {
  return {.what = "transformer and VAE",
          .by_format = {{.format = "float32", .copied = 25 * kGB, .mapped = 0, .work = 3 * kGB},
                        {.format = "bfloat16", .copied = kGB / 2, .mapped = 12 * kGB, .work = 2 * kGB}},
          .beside = 8 * kGB,
          .way_out = "free memory"};
}

MemoryRoom Room(uint64_t gigabytes) { return {gigabytes * kGB, ""}; }

TEST(FormatChoice, TakesTheWidestThatFitsBesideTheEncoder) {
  EXPECT_EQ(ChooseFormat(Real(), Room(36)).index, 0u);
  EXPECT_EQ(ChooseFormat(Real(), Room(35)).index, 1u);  // 25 + 3 + 8 are more
  FormatQuestion alone = Real();
  alone.beside = 0;
  EXPECT_EQ(ChooseFormat(alone, Room(28)).index, 0u);
  EXPECT_EQ(ChooseFormat(alone, Room(27)).index, 1u);
}

TEST(FormatChoice, SaysBothNumbersAndWhatTheWiderOneWouldNeed) {
  const FormatChoice choice = ChooseFormat(Real(), Room(22));
  EXPECT_EQ(choice.line,
            "transformer and VAE in bfloat16: 500 MB of memory and 12.0 GB in mapped files, 2.0 GB to compute, 8.0 GB "
            "for the encoder beside it; available 22.0 GB; float32 needs 25.0 GB of memory");
  EXPECT_EQ(choice.warning, "");
}

// As it is published: in float32, which then takes no copy and yet more memory than narrowing it.
TEST(FormatChoice, NarrowsFilesThatAreLargerThanTheMemory) {
  FormatQuestion published = Real();
  published.by_format = {{.format = "float32", .copied = 0, .mapped = 25 * kGB, .work = 3 * kGB},
                         {.format = "bfloat16", .copied = 12 * kGB, .mapped = 0, .work = 2 * kGB}};
  EXPECT_EQ(ChooseFormat(published, Room(40)).index, 0u);
  EXPECT_EQ(ChooseFormat(published, Room(24)).index, 1u);
  EXPECT_EQ(ChooseFormat(published, Room(15)).index, 1u);
  EXPECT_EQ(ChooseFormat(published, Room(13)).index, 0u);  // slow, and it says so
  EXPECT_NE(ChooseFormat(published, Room(13)).warning, "");
}

TEST(FormatChoice, TakesWeightsThatFitThoughTheUsualWorkDoesNot) { EXPECT_EQ(ChooseFormat(Real(), Room(1)).index, 1u); }

TEST(FormatChoice, SaysThatMappedFilesLargerThanTheMemoryAreSlow) {
  EXPECT_NE(ChooseFormat(Real(), Room(11)).warning.find("mapped files of 12.0 GB"), std::string::npos);
}

// The address space of a process: by now its files are mapped.
TEST(FormatChoice, CountsMappedFilesOnlyOnce) {
  MemoryRoom room = Room(3);
  room.without_mapped_files = true;
  FormatQuestion bfloat16 = Real();
  bfloat16.beside = 0;
  bfloat16.by_format.erase(bfloat16.by_format.begin());
  EXPECT_EQ(ChooseFormat(bfloat16, room).warning, "");
  EXPECT_NE(ChooseFormat(bfloat16, Room(3)).warning, "");
}

TEST(FormatChoice, RefusesWithBothNumbersAndTheWayOut) {
  FormatQuestion wide = Real();
  wide.by_format.pop_back();
  try {
    ChooseFormat(wide, MemoryRoom{22 * kGB, "the limit of control group /a"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
    EXPECT_STREQ(error.what(),
                 "transformer and VAE in float32: 25.0 GB of memory needed, available 22.0 GB (the limit of control "
                 "group /a); free memory");
  }
}

TEST(FormatChoice, TakesTheFirstWhereNothingIsKnown) {
  const FormatChoice choice = ChooseFormat(Real(), std::nullopt);
  EXPECT_EQ(choice.index, 0u);
  EXPECT_EQ(choice.line.find("available"), std::string::npos);
}

}  // namespace
}  // namespace diptych
