#include "render_node/jobs/checkpoint_store.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "common/digest/sha256.h"
#include "gtest/gtest.h"
#include "render_node/jobs/durable_file.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

constexpr char kId[] = "01ARYZ6S410000000000000000", kOther[] = "01ARYZ6S410000000000000001";
constexpr size_t kVersionAt = 8, kDigestSize = 64;

PictureCheckpoint Sample(int32_t step = 3) {
  PictureCheckpoint checkpoint{.determinants = "seed 1, steps 9",
                               .latent = {.step = step, .channels = 2, .height = 1, .width = 3},
                               .timings_json = R"({"refine":1.5})"};
  checkpoint.latent.values = {1.5f, -0.0f, std::numeric_limits<float>::denorm_min(), INFINITY, 0.1f, -3e38f};
  return checkpoint;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), 4 * a.size()) == 0;
}

// A limit on the size of files stands for the full disk; the kernel answers EFBIG and, unless ignored, a signal.
class SmallFilesOnly {
 public:
  explicit SmallFilesOnly(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallFilesOnly() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*const handler_)(int);
  rlimit before_{};
};

class CheckpointStoreTest : public testing::Test {
 protected:
  std::filesystem::path File(const std::string& id = kId) const { return temporary_.path() / (id + ".checkpoint"); }

  std::string Bytes() const {
    const std::vector<uint8_t> bytes = ReadWholeFile(File());
    return {bytes.begin(), bytes.end()};
  }
  void Put(const std::string& bytes, const std::string& id = kId) const {
    std::ofstream(File(id), std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  // With the checksum that belongs to it.
  void PutMended(std::string bytes) const {
    bytes.resize(bytes.size() - kDigestSize);
    Put(bytes + Sha256Hex(bytes));
  }

  // Why the file is refused; "" when it is not. A refused file must be gone.
  std::string Refusal(const std::string& determinants = Sample().determinants) {
    const CheckpointLoad load = store_.Load(kId, determinants);
    EXPECT_NE(load.checkpoint.has_value(), !load.refused.empty());
    EXPECT_EQ(std::filesystem::exists(File()), load.checkpoint.has_value()) << load.refused;
    return load.refused;
  }

  const TemporaryFolder temporary_;
  CheckpointStore store_{temporary_.path()};
};

TEST_F(CheckpointStoreTest, GivesBackEveryBit) {
  store_.Save(kId, Sample());
  for (int i = 0; i < 2; ++i) {
    const CheckpointLoad load = store_.Load(kId, Sample().determinants);
    ASSERT_TRUE(load.checkpoint.has_value()) << load.refused;
    EXPECT_EQ(load.refused, "");
    EXPECT_EQ(load.checkpoint->determinants, Sample().determinants);
    EXPECT_EQ(load.checkpoint->timings_json, Sample().timings_json);
    const LatentState& latent = load.checkpoint->latent;
    EXPECT_EQ(latent.step, 3);
    EXPECT_EQ(latent.channels, 2);
    EXPECT_EQ(latent.height, 1);
    EXPECT_EQ(latent.width, 3);
    EXPECT_TRUE(SameBits(latent.values, Sample().latent.values));
  }
}

TEST_F(CheckpointStoreTest, KeepsTheLatestStepForItsOwnerAlone) {
  store_.Save(kId, Sample(3));
  store_.Save(kId, Sample(4));
  EXPECT_EQ(store_.Load(kId, Sample().determinants).checkpoint->latent.step, 4);
  struct stat facts {};
  ASSERT_EQ(::stat(File().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
}

TEST_F(CheckpointStoreTest, HasNothingToSayOfAJobWithoutOne) {
  store_.Save(kOther, Sample());
  const CheckpointLoad load = store_.Load(kId, Sample().determinants);
  EXPECT_FALSE(load.checkpoint.has_value());
  EXPECT_EQ(load.refused, "");
}

TEST_F(CheckpointStoreTest, RefusesAFileWithAnyBitFlipped) {
  store_.Save(kId, Sample());
  const std::string whole = Bytes();
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int bit : {0, 7}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
      Put(bytes);
      EXPECT_NE(Refusal(), "") << "byte " << at << " bit " << bit;
    }
  }
}

TEST_F(CheckpointStoreTest, RefusesAFileCutOrContinuedAnywhere) {
  store_.Save(kId, Sample());
  const std::string whole = Bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    Put(whole.substr(0, size));
    EXPECT_NE(Refusal(), "") << size;
  }
  Put(whole + '0');
  EXPECT_TRUE(Says(Refusal(), "the checksum does not match"));
}

TEST_F(CheckpointStoreTest, NamesBothVersions) {
  store_.Save(kId, Sample());
  std::string bytes = Bytes();
  bytes[kVersionAt] = 2;
  PutMended(bytes);
  EXPECT_EQ(Refusal(), "the file is of format version 2, this program reads 1");
}

// A change of the format must change its version: this file was written by another program, from the description.
TEST_F(CheckpointStoreTest, ReadsAFileOfVersion1) {
  std::filesystem::copy(std::filesystem::path(DIPTYCH_SOURCE_DIR) / "tests/fuzz/seeds/checkpoint/small.bin", File());
  const CheckpointLoad load = store_.Load(kId, "seed 1");
  ASSERT_TRUE(load.checkpoint.has_value()) << load.refused;
  EXPECT_EQ(load.checkpoint->latent.step, 3);
  EXPECT_EQ(load.checkpoint->latent.values, (std::vector<float>{0, 0.25f, 0.5f, 0.75f, 1, 1.25f}));
  EXPECT_EQ(load.checkpoint->timings_json, "{}");
}

TEST_F(CheckpointStoreTest, RefusesWhatAnotherProgramWrote) {
  Put("SQLite format 3");
  EXPECT_EQ(Refusal(), "the file is no checkpoint");
}

TEST_F(CheckpointStoreTest, RefusesAnotherPicture) {
  store_.Save(kId, Sample());
  EXPECT_EQ(Refusal("seed 2, steps 9"), "it is of another picture: parameters, conditioning or models differ");
}

TEST_F(CheckpointStoreTest, RefusesAnotherJobsFile) {
  store_.Save(kId, Sample());
  std::filesystem::rename(File(), File(kOther));
  EXPECT_EQ(store_.Load(kOther, Sample().determinants).refused, "the file is another job's");
}

// With a right checksum: not damage, but what a wrong program could write.
TEST_F(CheckpointStoreTest, RefusesNumbersThatDoNotFit) {
  store_.Save(kId, Sample());
  const std::string whole = Bytes();
  constexpr size_t kNumbersAt = 8 + 4 + 26;
  const char* names[] = {"step", "channels", "height", "width", "determinants", "timings"};
  for (size_t i = 0; i < 6; ++i) {
    for (const uint32_t wrong : {0u, 1000u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
      if (i == 0 && wrong < 0x80000000u) continue;  // any step may be right
      std::string bytes = whole;
      std::memcpy(bytes.data() + kNumbersAt + 4 * i, &wrong, 4);
      PutMended(bytes);
      EXPECT_NE(Refusal(), "") << names[i] << " " << wrong;
    }
  }
}

TEST_F(CheckpointStoreTest, RefusesAFileOfAnyAbsurdSizeUnread) {
  Put("");
  ASSERT_EQ(::truncate(File().c_str(), static_cast<off_t>(kMaxCheckpointBytes) + 1), 0);  // sparse
  EXPECT_EQ(Refusal(), "the file is too large");
}

TEST_F(CheckpointStoreTest, LeavesWhatCannotBeReadNow) {
  store_.Save(kId, Sample());
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const CheckpointLoad load = store_.Load(kId, Sample().determinants);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(load.checkpoint.has_value());
  EXPECT_TRUE(Says(load.refused, "cannot open")) << load.refused;
  EXPECT_EQ(Refusal(), "");
}

TEST_F(CheckpointStoreTest, RefusesToSaveWhatItCouldNotRead) {
  PictureCheckpoint checkpoint = Sample();
  checkpoint.latent.width = 4;
  EXPECT_EQ(ErrorOf([&] { store_.Save(kId, checkpoint); })->code(), ErrorCode::kInvalidArgument);
  checkpoint = Sample();
  checkpoint.determinants.resize(kMaxCheckpointText + 1);
  EXPECT_EQ(ErrorOf([&] { store_.Save(kId, checkpoint); })->code(), ErrorCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(File()));
}

TEST_F(CheckpointStoreTest, TurnsNothingButAnIdIntoAPath) {
  EXPECT_EQ(ErrorOf([&] { store_.Save("../../etc/passwd", Sample()); })->code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(ErrorOf([&] { store_.Save("../ARYZ6S41000000000000000", Sample()); })->code(), ErrorCode::kNotFound);
  EXPECT_EQ(ErrorOf([&] { store_.Load("../etc/passwd", ""); })->code(), ErrorCode::kNotFound);
  EXPECT_EQ(ErrorOf([&] { store_.Remove("../etc/passwd"); })->code(), ErrorCode::kNotFound);
}

TEST_F(CheckpointStoreTest, AFailedSaveKeepsTheOneBefore) {
  store_.Save(kId, Sample(3));
  {
    const SmallFilesOnly full(64);
    EXPECT_EQ(ErrorOf([&] { store_.Save(kId, Sample(4)); })->code(), ErrorCode::kResourceExhausted);
  }
  EXPECT_EQ(store_.Load(kId, Sample().determinants).checkpoint->latent.step, 3);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temporary_.path()), {}), 1) << "a temporary file is left";
}

TEST_F(CheckpointStoreTest, RemovesOneOrAllButThoseNamed) {
  store_.Remove(kId);  // there is none
  store_.Save(kId, Sample());
  store_.Save(kOther, Sample());
  store_.Remove(kOther);
  EXPECT_TRUE(std::filesystem::exists(File()));
  EXPECT_FALSE(std::filesystem::exists(File(kOther)));

  store_.Save(kOther, Sample());
  const std::filesystem::path left_over = temporary_.path() / (std::string(kId) + ".checkpoint.unfinished.Ab12Cd");
  std::ofstream(left_over) << "half";
  store_.RemoveAllBut({kId});
  EXPECT_TRUE(std::filesystem::exists(File()));
  EXPECT_FALSE(std::filesystem::exists(File(kOther)));
  EXPECT_FALSE(std::filesystem::exists(left_over));
  EXPECT_EQ(Refusal(), "");
}

}  // namespace
}  // namespace diptych
