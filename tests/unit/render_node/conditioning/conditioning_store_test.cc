#include "render_node/conditioning/conditioning_store.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/conditioning/conditioning_record.h"
#include "render_node/jobs/durable_file.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMany = int64_t{1} << 30;

// 64 digits that end with `number`.
std::string Key(int number) {
  std::string digits = std::to_string(number);
  return std::string(64 - digits.size(), 'a') + digits;
}

// `rows` x 1000 bytes; `mark` decides the values.
Conditioning Block(int mark = 0, int64_t rows = 10) {
  Conditioning block;
  block.header = {.model_fingerprint = std::string(64, 'a'),
                  .tokenizer_fingerprint = std::string(64, 'b'),
                  .input_sha256 = std::string(64, 'c'),
                  .token_count = rows + 1,
                  .layer = -3,
                  .long_prompt_mode = LongPromptMode::kAttentionPool,
                  .dtype = StateDtype::kFloat32,
                  .rows = rows,
                  .width = 250};
  block.bytes.resize(static_cast<size_t>(block.header.ByteCount()));
  for (size_t i = 0; i < block.bytes.size(); ++i) block.bytes[i] = (i * 31 + i / 251 + mark) & 0x3F;  // finite
  return block;
}

bool Same(const std::optional<Conditioning>& found, const Conditioning& expected) {
  return found && found->header == expected.header && found->bytes == expected.bytes;
}

// Straight into the file, as a bad disk would, and without waiting for one.
void WriteQuickly(const fs::path& path, const std::vector<uint8_t>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

class ConditioningStoreTest : public testing::Test {
 protected:
  fs::path folder() const { return temporary_.path() / "store"; }
  ConditioningStore Store(int64_t memory, int64_t disk) const {
    return ConditioningStore({.folder = folder(), .memory_limit = memory, .disk_limit = disk});
  }
  fs::path FileOf(int number) const { return folder() / Key(number); }
  int Files() const { return static_cast<int>(std::distance(fs::directory_iterator(folder()), {})); }

  const TemporaryFolder temporary_;
};

TEST_F(ConditioningStoreTest, GivesBackWhatWasPut) {
  ConditioningStore store = Store(kMany, kMany);
  EXPECT_FALSE(store.Find(Key(1)));
  EXPECT_FALSE(store.Has(Key(1)));
  store.Put(Key(1), Block(1));
  EXPECT_TRUE(store.Has(Key(1)));
  EXPECT_TRUE(Same(store.Find(Key(1)), Block(1)));
  EXPECT_FALSE(store.Find(Key(2)));
  const ConditioningStore::Stats stats = store.stats();
  EXPECT_EQ(stats.memory_hits, 1);
  EXPECT_EQ(stats.disk_hits, 0);
  EXPECT_EQ(stats.misses, 2);
  EXPECT_EQ(stats.damaged, 0);
  EXPECT_EQ(stats.disk_failures, 0) << stats.last_failure;
  EXPECT_EQ(stats.entries, 1);
  EXPECT_GE(stats.memory_bytes, 10'000);
  EXPECT_EQ(stats.disk_bytes, static_cast<int64_t>(fs::file_size(FileOf(1))));
}

TEST_F(ConditioningStoreTest, KeepsEveryFactAcrossARestart) {
  { Store(kMany, kMany).Put(Key(1), Block(1)); }
  ConditioningStore store = Store(kMany, kMany);
  EXPECT_TRUE(store.Has(Key(1)));
  EXPECT_TRUE(Same(store.Find(Key(1)), Block(1)));
  EXPECT_EQ(store.stats().disk_hits, 1);
  EXPECT_TRUE(Same(store.Find(Key(1)), Block(1)));
  EXPECT_EQ(store.stats().disk_hits, 1) << "it is in memory now";
  EXPECT_EQ(store.stats().memory_hits, 1);
  EXPECT_EQ(store.stats().entries, 1);
}

// What a state folder holds is read by the next version and written as the one before can read it.
TEST(ConditioningRecord, IsWrittenAsByEarlierVersions) {
  const std::string key = "44da90781fc8c1c8422e23f5143d999918a90b397a1944d0373bd11b3d6f1128";
  Conditioning block;
  block.header = {.model_fingerprint = std::string(64, 'a'),
                  .tokenizer_fingerprint = std::string(64, 'b'),
                  .input_sha256 = "2aee6c7d3d1bec8341885ed89da78533c0ff6b0a39df3675dfb5cac1525be552",
                  .token_count = 2,
                  .rows = 1,
                  .width = 2};
  block.bytes = {1, 2, 3, 4};
  const std::string head =
      "diptych conditioning record 1\n"
      "1d160525ac8a742fee459525b9822fb52fccf1ace2d17ed0677c55e14a4a2855\n"
      R"({"dtype":"bfloat16","layer":-2,"long_prompt_mode":"interpolate","model_fingerprint":")" +
      std::string(64, 'a') +
      R"(","rows":1,"text_sha256":"2aee6c7d3d1bec8341885ed89da78533c0ff6b0a39df3675dfb5cac1525be552",)"
      R"("token_count":2,"tokenizer_fingerprint":")" +
      std::string(64, 'b') + R"(","width":2})" + "\n";
  EXPECT_EQ(ConditioningRecordHead(key, block), head);
  std::vector<uint8_t> file(head.begin(), head.end());
  file.insert(file.end(), block.bytes.begin(), block.bytes.end());
  EXPECT_TRUE(Same(ParseConditioningRecord(key, file), block));
}

TEST_F(ConditioningStoreTest, WorksWithEitherPartAlone) {
  ConditioningStore memory = Store(kMany, 0);
  memory.Put(Key(1), Block(1));
  memory.SetIdentity({"m", "t", StateDtype::kFloat32});
  EXPECT_TRUE(Same(memory.Find(Key(1)), Block(1)));
  EXPECT_EQ(memory.stats().entries, 1);
  EXPECT_FALSE(fs::exists(folder())) << "without a disk part nothing touches the folder";

  ConditioningStore disk = Store(0, kMany);
  disk.Put(Key(1), Block(1));
  EXPECT_TRUE(Same(disk.Find(Key(1)), Block(1)));
  EXPECT_EQ(disk.stats().memory_bytes, 0);
  EXPECT_EQ(disk.stats().disk_hits, 1);

  ConditioningStore neither = Store(0, 0);
  neither.Put(Key(1), Block(1));
  EXPECT_FALSE(neither.Find(Key(1)));
}

TEST_F(ConditioningStoreTest, MemoryForgetsWhatWasNotUsedForLongest) {
  ConditioningStore store = Store(3 * 12'000, 0);
  for (int i : {1, 2, 3}) store.Put(Key(i), Block(i));
  EXPECT_TRUE(store.Find(Key(1)));
  EXPECT_TRUE(store.Has(Key(2))) << "asking is no use";
  store.Put(Key(4), Block(4));
  EXPECT_TRUE(store.Has(Key(1)));
  EXPECT_FALSE(store.Has(Key(2)));
  EXPECT_TRUE(store.Has(Key(3)));
  EXPECT_TRUE(store.Has(Key(4)));
  EXPECT_LE(store.stats().memory_bytes, 3 * 12'000);
  store.Put(Key(5), Block(5, 100));
  EXPECT_FALSE(store.Has(Key(5))) << "larger than the limit";
  EXPECT_EQ(store.stats().entries, 3) << "and nothing went for it";
}

TEST_F(ConditioningStoreTest, DiskForgetsWhatWasNotUsedForLongest) {
  ConditioningStore store = Store(0, 3 * 11'000);
  for (int i : {1, 2, 3}) store.Put(Key(i), Block(i));
  EXPECT_TRUE(store.Find(Key(1)));
  store.Put(Key(4), Block(4));
  EXPECT_TRUE(Same(store.Find(Key(1)), Block(1)));
  EXPECT_FALSE(store.Find(Key(2)));
  EXPECT_FALSE(fs::exists(FileOf(2)));
  EXPECT_TRUE(Same(store.Find(Key(3)), Block(3)));
  EXPECT_TRUE(Same(store.Find(Key(4)), Block(4)));
  EXPECT_LE(store.stats().disk_bytes, 3 * 11'000);
  store.Put(Key(5), Block(5, 100));
  EXPECT_FALSE(store.Has(Key(5)));
  EXPECT_EQ(store.stats().entries, 3);
  EXPECT_EQ(store.stats().damaged, 0);
}

TEST_F(ConditioningStoreTest, WhatMemoryAnswersIsInUseOnDiskToo) {
  ConditioningStore store = Store(kMany, 3 * 11'000);
  for (int i : {1, 2, 3}) store.Put(Key(i), Block(i));
  EXPECT_TRUE(store.Find(Key(1)));
  EXPECT_EQ(store.stats().memory_hits, 1);
  store.Put(Key(4), Block(4));
  EXPECT_TRUE(fs::exists(FileOf(1)));
  EXPECT_FALSE(fs::exists(FileOf(2)));
}

TEST_F(ConditioningStoreTest, OrderSurvivesARestartAndASmallerLimitTakesTheOldest) {
  {
    ConditioningStore store = Store(0, kMany);
    for (int i : {1, 2, 3, 4}) store.Put(Key(i), Block(i));
    EXPECT_TRUE(store.Find(Key(1)));  // from the oldest to the latest: 2 3 4 1
  }
  {
    ConditioningStore store = Store(0, 3 * 11'000);
    EXPECT_FALSE(store.Has(Key(2)));
    EXPECT_EQ(Files(), 3);
    EXPECT_TRUE(store.Find(Key(3)));  // 4 1 3
  }
  ConditioningStore store = Store(0, 2 * 11'000);
  EXPECT_FALSE(store.Has(Key(4)));
  EXPECT_TRUE(Same(store.Find(Key(1)), Block(1)));
  EXPECT_TRUE(Same(store.Find(Key(3)), Block(3)));
  EXPECT_LE(store.stats().disk_bytes, 2 * 11'000);
}

// Somebody set the clock back by ten years: what is used now is still later than what was used before.
TEST_F(ConditioningStoreTest, OrderDoesNotFollowTheClockBackwards) {
  { Store(0, kMany).Put(Key(1), Block(1)); }
  fs::last_write_time(FileOf(1), fs::file_time_type::clock::now() + std::chrono::hours(24 * 3650));
  { Store(0, kMany).Put(Key(2), Block(2)); }
  const ConditioningStore store = Store(0, 11'000);
  EXPECT_FALSE(store.Has(Key(1)));
  EXPECT_TRUE(store.Has(Key(2)));
}

// Bytes of every region changed, the file cut at many lengths, a byte added: never used, removed, written anew.
TEST_F(ConditioningStoreTest, NeverUsesADamagedFile) {
  const Conditioning block = Block(1, 1);
  { Store(0, kMany).Put(Key(1), block); }
  const std::vector<uint8_t> whole = ReadWholeFile(FileOf(1));
  ASSERT_LT(whole.size(), 3000u);
  const auto expect_refused = [&](const std::vector<uint8_t>& bytes, const std::string& what) {
    WriteQuickly(FileOf(1), bytes);
    ConditioningStore store = Store(0, kMany);
    ASSERT_TRUE(store.Has(Key(1)));
    ASSERT_FALSE(store.Find(Key(1))) << what;
    ASSERT_FALSE(store.Has(Key(1))) << what;
    ASSERT_FALSE(fs::exists(FileOf(1))) << what;
    const ConditioningStore::Stats stats = store.stats();
    ASSERT_EQ(stats.damaged, 1) << what;
    ASSERT_EQ(stats.misses, 1) << what;
    ASSERT_EQ(stats.disk_bytes, 0) << what;
    ASSERT_EQ(stats.disk_failures, 0) << stats.last_failure;
  };
  for (size_t i = 0; i < whole.size(); i += i < 600 ? 1 : 7) {
    for (const int flip : {0x01, 0x20, 0x80}) {
      std::vector<uint8_t> bytes = whole;
      bytes[i] ^= flip;
      ASSERT_NO_FATAL_FAILURE(expect_refused(bytes, "byte " + std::to_string(i)));
    }
  }
  for (size_t size = 0; size < whole.size(); size += size < 600 ? 3 : 97) {
    ASSERT_NO_FATAL_FAILURE(
        expect_refused({whole.begin(), whole.begin() + static_cast<int64_t>(size)}, "cut at " + std::to_string(size)));
  }
  std::vector<uint8_t> longer = whole;
  longer.push_back('\n');
  ASSERT_NO_FATAL_FAILURE(expect_refused(longer, "a byte more"));

  ConditioningStore store = Store(0, kMany);
  store.Put(Key(1), block);
  EXPECT_EQ(ReadWholeFile(FileOf(1)), whole) << "it is written anew";
  EXPECT_TRUE(Same(store.Find(Key(1)), block));
}

TEST_F(ConditioningStoreTest, RefusesAWholeFileUnderAnothersName) {
  { Store(0, kMany).Put(Key(1), Block(1)); }
  fs::rename(FileOf(1), FileOf(2));
  ConditioningStore store = Store(0, kMany);
  EXPECT_FALSE(store.Find(Key(2)));
  EXPECT_EQ(store.stats().damaged, 1);
  EXPECT_FALSE(fs::exists(FileOf(2)));
}

TEST_F(ConditioningStoreTest, MissesAFileThatSomebodyRemoved) {
  ConditioningStore store = Store(0, kMany);
  store.Put(Key(1), Block(1));
  fs::remove(FileOf(1));
  EXPECT_FALSE(store.Find(Key(1)));
  EXPECT_EQ(store.stats().damaged, 1);
  EXPECT_EQ(store.stats().misses, 1);
  store.Put(Key(1), Block(1));
  EXPECT_TRUE(store.Find(Key(1)));
}

TEST_F(ConditioningStoreTest, ClearsWhatAKilledProcessLeftAndNothingOfOthers) {
  { Store(0, kMany).Put(Key(1), Block(1)); }
  std::ofstream(FileOf(2).string() + ".unfinished.abcdef") << "half";
  std::ofstream(folder() / "notes.txt") << "somebody's";
  fs::create_directory(FileOf(3));
  ConditioningStore store = Store(0, kMany);
  EXPECT_EQ(store.stats().entries, 1);
  EXPECT_FALSE(store.Has(Key(3)));
  EXPECT_EQ(Files(), 3);
  EXPECT_TRUE(fs::exists(folder() / "notes.txt"));
  EXPECT_TRUE(Same(store.Find(Key(1)), Block(1)));
}

TEST_F(ConditioningStoreTest, AFullDiskCostsTheFileAlone) {
  ConditioningStore store = Store(kMany, kMany);
  // A limit on the size of files stands for the full disk; the kernel answers EFBIG and, unless ignored, a signal.
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ::getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit small{4096, old_limit.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  store.Put(Key(1), Block(1));
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, before);
  EXPECT_TRUE(Same(store.Find(Key(1)), Block(1)));
  EXPECT_EQ(store.stats().memory_hits, 1);
  EXPECT_EQ(store.stats().disk_failures, 1);
  EXPECT_NE(store.stats().last_failure, "");
  EXPECT_EQ(store.stats().disk_bytes, 0);
  EXPECT_EQ(Files(), 0);
  store.Put(Key(1), Block(1));
  EXPECT_TRUE(fs::exists(FileOf(1))) << "there is room again";
}

TEST_F(ConditioningStoreTest, AFolderThatCannotBeMadeOrVanishesCostsTheDiskPartAlone) {
  std::ofstream(folder()) << "a file in its place";
  ConditioningStore store = Store(kMany, kMany);
  EXPECT_GT(store.stats().disk_failures, 0);
  store.Put(Key(1), Block(1));
  store.SetIdentity({"m", "t", StateDtype::kFloat32});
  EXPECT_TRUE(Same(store.Find(Key(1)), Block(1)));
  EXPECT_TRUE(store.identity());
  EXPECT_NE(store.stats().last_failure, "");

  fs::remove(folder());
  ConditioningStore later = Store(kMany, kMany);
  later.Put(Key(1), Block(1));
  fs::remove_all(folder());
  later.Put(Key(2), Block(2));
  EXPECT_TRUE(Same(later.Find(Key(1)), Block(1)));
  EXPECT_TRUE(Same(later.Find(Key(2)), Block(2)));
  EXPECT_EQ(later.stats().disk_failures, 1);
}

TEST_F(ConditioningStoreTest, RemembersTheEncodersIdentity) {
  const EncoderIdentity first{std::string(64, '1'), std::string(64, '2'), StateDtype::kFloat32};
  const EncoderIdentity second{std::string(64, '3'), "", StateDtype::kBFloat16};
  {
    ConditioningStore store = Store(0, kMany);
    EXPECT_FALSE(store.identity());
    store.SetIdentity(first);
    EXPECT_EQ(store.identity(), first);
  }
  {
    ConditioningStore store = Store(0, kMany);
    EXPECT_EQ(store.identity(), first);
    store.SetIdentity(second);
  }
  EXPECT_EQ(Store(0, kMany).identity(), second);
  const std::vector<uint8_t> whole = ReadWholeFile(folder() / "identity");
  for (size_t i = 0; i < whole.size(); ++i) {
    std::vector<uint8_t> bytes = whole;
    bytes[i] ^= 1;
    WriteQuickly(folder() / "identity", bytes);
    EXPECT_FALSE(Store(0, kMany).identity()) << "byte " << i;
  }
}

// Reads go on while writes push everything out again and again: nothing is removed under a reader's hands, nothing
// that is found is wrong, and the sum of bytes is right in the end.
TEST_F(ConditioningStoreTest, ReadersAndWritersDoNotDisturbEachOther) {
  ConditioningStore store = Store(0, 4 * 2'000);
  std::atomic<int> wrong = 0;
  std::atomic<int> found = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 60; ++i) {
          const int number = (i * (t + 1)) % 7;
          if (t % 2 == 0) store.Put(Key(number), Block(number, 1));
          const std::optional<Conditioning> got = store.Find(Key(number));
          if (!got) continue;
          ++found;
          if (!Same(got, Block(number, 1))) ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(found, 0);
  const ConditioningStore::Stats stats = store.stats();
  EXPECT_EQ(stats.damaged, 0);
  EXPECT_EQ(stats.disk_failures, 0) << stats.last_failure;
  int64_t bytes = 0;
  for (const auto& file : fs::directory_iterator(folder())) bytes += static_cast<int64_t>(file.file_size());
  EXPECT_EQ(stats.disk_bytes, bytes);
  EXPECT_EQ(stats.entries, Files());
}

// A pipe in the place of the file holds its reader until the other end is opened.
bool ThisProcessHasOpen(const fs::path& path) {
  for (const fs::directory_entry& fd : fs::directory_iterator("/proc/self/fd")) {
    std::error_code closed;
    if (fs::read_symlink(fd.path(), closed) == path) return true;
  }
  return false;
}

// A file so long that a reader has it open for some tenths of a second.
TEST_F(ConditioningStoreTest, NothingIsRemovedWhileItIsBeingRead) {
  bool was_held = false;
  for (int attempt = 0; attempt < 100 && !was_held; ++attempt) {
    fs::remove_all(folder());
    ConditioningStore store = Store(0, 11'000);  // room for one
    store.Put(Key(0), Block(0));
    fs::resize_file(FileOf(0), 256 << 20);
    std::atomic<bool> ended = false;
    std::jthread reader([&] {
      store.Find(Key(0));
      ended = true;
    });
    while (!ended && !ThisProcessHasOpen(FileOf(0))) std::this_thread::yield();
    store.Put(Key(1), Block(1));
    was_held = ThisProcessHasOpen(FileOf(0));  // a removed one would be called "... (deleted)"
  }
  EXPECT_TRUE(was_held);
}

TEST_F(ConditioningStoreTest, TenThousandEntriesAreThereWithinASecond) {
  fs::create_directories(folder());
  std::ofstream(FileOf(0)) << "x";
  for (int i = 1; i < 10'000; ++i) fs::create_hard_link(FileOf(0), FileOf(i));
  const auto start = std::chrono::steady_clock::now();
  const ConditioningStore store = Store(0, kMany);
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  EXPECT_EQ(store.stats().entries, 10'000);
  EXPECT_LT(ms, 5'000) << "on a machine that does much else; alone it takes well under a second";
  std::printf("10 000 entries indexed in %.0f ms\n", ms);
}

}  // namespace
}  // namespace diptych
