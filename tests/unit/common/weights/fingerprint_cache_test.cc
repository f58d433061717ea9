#include "common/weights/fingerprint_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "common/digest/sha256.h"
#include "common/weights/fingerprint.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

using testing::ReadText;
using testing::TemporaryFolder;
using testing::WriteText;

bool Never(const FileFacts&) { return false; }

void WriteWeights(const std::string& folder, uint8_t first) {
  fs::create_directories(folder);
  const auto fill = [&](const TensorSpec& spec, std::span<uint8_t> bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(first + spec.name[0] + i);
  };
  WriteCheckpoint(folder, "model", {{"a", Dtype::F32, {64}}, {"b", Dtype::F32, {64}}}, fill, 1 << 20, {});
}

// Two tensors of 256 bytes in one file, and a cache beside it that is not there yet.
class FingerprintCacheTest : public ::testing::Test {
 protected:
  FingerprintCacheTest() { WriteWeights(model_, 0); }

  struct Taken {
    std::string fingerprint;
    FingerprintWork work;
    std::vector<std::string> hashes;
    bool operator==(const Taken& other) const { return fingerprint == other.fingerprint && hashes == other.hashes; }
  };
  // A start of its own: opens, and hashes what the cache does not know.
  Taken Take(const FingerprintCache& cache, const std::string& path) const {
    Taken taken;
    taken.fingerprint = CheckpointFingerprint(*Checkpoint::Open(path), "", 1, &taken.hashes, &cache, &taken.work);
    return taken;
  }
  Taken Take() const { return Take(cache_, model_); }
  Taken TakeWithoutCache() const { return Take(FingerprintCache(""), model_); }

  // The one file in the folder; empty: there is none.
  std::string CacheFile() const {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(cache_.folder(), none)) return entry.path().string();
    return "";
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat info = {};
    lstat(path.c_str(), &info);
    return info.st_mode;
  }

  // It serves a start again after `spoil`, which was not believed.
  void ExpectReplaced(const std::string& what, const std::function<void(const std::string& file)>& spoil) {
    SCOPED_TRACE(what);
    Take();
    const std::string file = CacheFile();
    ASSERT_NE(file, "");
    spoil(file);
    const Taken again = Take();
    EXPECT_EQ(again.work.remembered, 0u);
    EXPECT_EQ(again, TakeWithoutCache());
    EXPECT_EQ(again.work.not_kept, "");
    EXPECT_EQ(Take().work.hashed, 0u);
    EXPECT_TRUE(S_ISREG(ModeOf(file)));
  }

  const TemporaryFolder scratch_;
  const std::string model_ = scratch_ / "model";
  const std::string weights_ = model_ + "/model.safetensors";
  const FingerprintCache cache_{scratch_ / "home/.cache/diptych/fingerprints", Never};
};

TEST_F(FingerprintCacheTest, ASecondStartHashesNothingAndFindsTheSame) {
  const Taken first = Take(), second = Take();
  EXPECT_EQ(first.work.hashed, 512u);
  EXPECT_EQ(first.work.remembered, 0u);
  EXPECT_EQ(first.work.not_kept, "");
  EXPECT_EQ(second.work.hashed, 0u);
  EXPECT_EQ(second.work.remembered, 512u);
  EXPECT_EQ(second, first);
  EXPECT_EQ(first, TakeWithoutCache());
  EXPECT_NE(first.work.Line("model").find("fingerprint of model: 0.0 MB hashed in 0."), std::string::npos)
      << first.work.Line("model");
  EXPECT_EQ(second.work.Line("model"), "fingerprint of model: remembered, 0.0 MB not hashed anew");
}

TEST_F(FingerprintCacheTest, FileAndFolderAreTheirOwnersAlone) {
  Take();
  EXPECT_EQ(ModeOf(CacheFile()) & 0777, 0600u);
  for (const char* folder : {"home", "home/.cache", "home/.cache/diptych/fingerprints"}) {
    EXPECT_EQ(ModeOf(scratch_ / folder) & 0777, 0700u) << folder;
  }
}

TEST_F(FingerprintCacheTest, AByteThatChangedUnderTheOldSizeAndTimeIsNoticed) {
  const Taken first = Take();
  const auto before = fs::last_write_time(weights_);
  std::string bytes = ReadText(weights_);
  bytes.back() ^= 1;
  usleep(10'000);  // more than a tick of the kernel's clock
  WriteText(weights_, bytes);
  fs::last_write_time(weights_, before);  // cp -p, rsync -t
  const Taken second = Take();
  EXPECT_NE(second.fingerprint, first.fingerprint);
  EXPECT_EQ(second, TakeWithoutCache());
  EXPECT_EQ(Take().work.hashed, 0u);
}

TEST_F(FingerprintCacheTest, AnotherFileOfTheSameSizeAndTimeIsNoticed) {
  const Taken first = Take();
  WriteWeights(scratch_ / "other", 1);
  fs::last_write_time(scratch_ / "other/model.safetensors", fs::last_write_time(weights_));
  fs::rename(scratch_ / "other/model.safetensors", weights_);
  const Taken second = Take();
  EXPECT_NE(second.fingerprint, first.fingerprint);
  EXPECT_EQ(second, TakeWithoutCache());
}

TEST_F(FingerprintCacheTest, AFileThatWasTouchedIsHashedOnceMore) {
  const Taken first = Take();
  fs::last_write_time(weights_, fs::last_write_time(weights_) + std::chrono::seconds(1));
  const Taken second = Take();
  EXPECT_EQ(second.work.hashed, 512u);
  EXPECT_EQ(second, first);
  EXPECT_EQ(Take().work.hashed, 0u);
}

TEST_F(FingerprintCacheTest, CheckpointsDoNotTakeEachOthersHashes) {
  WriteWeights(scratch_ / "other", 1);
  const Taken one = Take(), other = Take(cache_, scratch_ / "other");
  EXPECT_EQ(other.work.hashed, 512u);
  EXPECT_NE(one.fingerprint, other.fingerprint);
  EXPECT_EQ(Take(), one);
  EXPECT_EQ(Take(cache_, scratch_ / "other"), other);
  EXPECT_EQ(Take().work.hashed + Take(cache_, scratch_ / "other").work.hashed, 0u);
}

TEST_F(FingerprintCacheTest, ALinkToAFileAndTheFileAreOne) {
  Take();
  fs::create_directories(scratch_ / "snapshot");
  fs::create_symlink(weights_, scratch_ / "snapshot/model.safetensors");
  EXPECT_EQ(Take(cache_, scratch_ / "snapshot").work.hashed, 0u);
}

TEST_F(FingerprintCacheTest, PlacesOfTwoLayoutsOfOneFileStandBesideEachOther) {
  Take();
  const MappedFile file(weights_);
  const FilePlace part{static_cast<uint64_t>(file.facts().size) - 16, 16};  // of the second tensor
  ASSERT_TRUE(cache_.IsSettled(file));
  EXPECT_EQ(cache_.Keep(file, {{part, Sha256Hex("x")}}), "");
  EXPECT_EQ(cache_.Known(file).size(), 3u);
  EXPECT_EQ(cache_.Known(file).at(part), Sha256Hex("x"));
  EXPECT_EQ(Take().work.hashed, 0u);
}

TEST_F(FingerprintCacheTest, WhatChangedJustNowIsNotRemembered) {
  const FingerprintCache careful(cache_.folder());
  const Taken taken = Take(careful, model_);
  EXPECT_EQ(taken.work.not_kept, weights_ + " was changed just now");
  EXPECT_NE(taken.work.Line("m").find("not remembered for the next start: "), std::string::npos);
  EXPECT_EQ(CacheFile(), "");
}

TEST_F(FingerprintCacheTest, WhatChangesWhileItIsHashedIsNotRemembered) {
  const MappedFile file(weights_);
  ASSERT_TRUE(cache_.IsSettled(file));
  fs::last_write_time(weights_, fs::last_write_time(weights_) + std::chrono::seconds(1));
  EXPECT_FALSE(cache_.IsSettled(file));
  EXPECT_EQ(cache_.Keep(file, {{{0, 8}, Sha256Hex("x")}}), weights_ + " changed meanwhile");
  EXPECT_EQ(CacheFile(), "");
}

TEST_F(FingerprintCacheTest, WhatIsDamagedIsNotBelievedAndReplaced) {
  Take();
  const size_t size = ReadText(CacheFile()).size();
  for (size_t at = 0; at < size; at += 7) {
    ExpectReplaced("byte " + std::to_string(at), [&](const std::string& file) {
      std::string text = ReadText(file);
      text[at] = static_cast<char>(text[at] ^ 1);
      WriteText(file, text);
    });
  }
  for (const size_t length : {size_t{0}, size_t{10}, size / 2, size - 1}) {
    ExpectReplaced(std::to_string(length) + " bytes", [&](const std::string& file) { fs::resize_file(file, length); });
  }
  ExpectReplaced("too long", [](const std::string& file) { fs::resize_file(file, FingerprintCache::kMostBytes + 1); });
}

TEST_F(FingerprintCacheTest, WhatHasARightSumAndAWrongTextIsNotBelieved) {
  const auto with_sum = [](const std::string& text) { return text + "sum " + Sha256Hex(text) + "\n"; };
  Take();
  const std::string text = ReadText(CacheFile()), body = text.substr(0, text.size() - 69);
  ASSERT_EQ(with_sum(body), text);
  const std::string hash(64, 'a');
  for (const std::string& more :
       {std::string("0 "), "0 1 " + hash, "0 1 " + hash.substr(1) + "\n", "-1 1 " + hash + "\n",
        "0 99999999999999999999 " + hash + "\n", "1 18446744073709551615 " + hash + "\n", "100000 1 " + hash + "\n",
        std::string("\n")}) {
    ExpectReplaced(more, [&](const std::string& file) { WriteText(file, with_sum(body + more)); });
  }
  ExpectReplaced("another file's", [&](const std::string& file) {
    std::string other = body;
    other[other.find("file ") + 5] ^= 1;
    WriteText(file, with_sum(other));
  });
  ExpectReplaced("another version's",
                 [&](const std::string& file) { WriteText(file, with_sum("diptych fingerprints 2\n" + body)); });
}

TEST_F(FingerprintCacheTest, LinksAndFilesThatOthersCouldHaveWrittenAreReplaced) {
  ExpectReplaced("a link", [&](const std::string& file) {
    fs::rename(file, scratch_ / "elsewhere");
    fs::create_symlink(scratch_ / "elsewhere", file);
  });
  ExpectReplaced("a link to nowhere", [&](const std::string& file) {
    fs::remove(file);
    fs::create_symlink(scratch_ / "nowhere", file);
  });
  EXPECT_FALSE(fs::exists(scratch_ / "nowhere"));
  ExpectReplaced("writable by others", [](const std::string& file) { chmod(file.c_str(), 0666); });
  ExpectReplaced("a pipe", [](const std::string& file) {
    fs::remove(file);
    mkfifo(file.c_str(), 0600);
  });
  if (geteuid() == 0) {  // nobody else can give a file away
    ExpectReplaced("another user's", [](const std::string& file) { ASSERT_EQ(chown(file.c_str(), 65534, 65534), 0); });
  }
}

TEST_F(FingerprintCacheTest, AFolderThatIsALinkOrOpenToOthersIsLeftAlone) {
  Take();
  const fs::path folder = cache_.folder();
  chmod(folder.c_str(), 0777);
  Taken taken = Take();
  EXPECT_EQ(taken.work.hashed, 512u);
  EXPECT_EQ(taken.work.not_kept, folder.string() + ": another user's, or others may write to it");
  chmod(folder.c_str(), 0700);
  EXPECT_EQ(Take().work.hashed, 0u);
  if (geteuid() == 0) {
    ASSERT_EQ(chown(folder.c_str(), 65534, 65534), 0);
    EXPECT_EQ(Take().work.hashed, 512u);
    ASSERT_EQ(chown(folder.c_str(), 0, 0), 0);
  }
  fs::rename(folder, scratch_ / "moved");
  fs::create_directory_symlink(scratch_ / "moved", folder);
  taken = Take();
  EXPECT_EQ(taken.work.hashed, 512u);
  EXPECT_EQ(taken.work.not_kept, folder.string() + ": a link");
}

TEST_F(FingerprintCacheTest, WhereNothingCanBeWrittenTheFingerprintIsTheSame) {
  const Taken plain = TakeWithoutCache();
  EXPECT_EQ(plain.work.not_kept, "") << "nobody wants it";
  for (const std::string& folder : {weights_ + "/below", std::string("/proc/diptych/fingerprints")}) {
    const Taken taken = Take(FingerprintCache(folder, Never), model_);
    EXPECT_EQ(taken, plain);
    EXPECT_NE(taken.work.not_kept, "");
  }
  // A full disk: no file may be longer than 100 bytes.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{100, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &full);
  const Taken taken = Take();
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(taken, plain);
  EXPECT_NE(taken.work.not_kept, "");
  EXPECT_EQ(CacheFile(), "") << "nothing half written";
}

TEST_F(FingerprintCacheTest, TheFolderDoesNotGrowForEver) {
  Take();
  const std::string own = CacheFile();
  const auto old = fs::last_write_time(own) - std::chrono::hours(5);
  const auto put = [&](const std::string& name, fs::file_time_type time) {
    WriteText(cache_.folder() / name, "x");
    fs::last_write_time(cache_.folder() / name, time);
  };
  for (size_t i = 0; i < FingerprintCache::kMostFiles + 20; ++i) {
    put(Sha256Hex(std::to_string(i)), old + std::chrono::seconds(i));
  }
  put(Sha256Hex("x") + ".part-AAAAAAAAAAAA", old);
  put("notes.txt", old);
  WriteWeights(scratch_ / "other", 1);
  Take(cache_, scratch_ / "other");
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(cache_.folder()))
    files += IsSha256Hex(entry.path().filename().string());
  EXPECT_EQ(files, FingerprintCache::kMostFiles);
  EXPECT_FALSE(fs::exists(cache_.folder() / Sha256Hex("0")));
  EXPECT_FALSE(fs::exists(cache_.folder() / Sha256Hex("21")));
  EXPECT_TRUE(fs::exists(cache_.folder() / Sha256Hex("22")));
  EXPECT_FALSE(fs::exists(cache_.folder() / (Sha256Hex("x") + ".part-AAAAAAAAAAAA")));
  EXPECT_TRUE(fs::exists(cache_.folder() / "notes.txt")) << "not ours";
  EXPECT_TRUE(fs::exists(own));
}

TEST_F(FingerprintCacheTest, WhatIsUsedIsNotTheOldest) {
  Take();
  const auto old = fs::last_write_time(CacheFile()) - std::chrono::hours(5);
  fs::last_write_time(CacheFile(), old);
  Take();
  EXPECT_GT(fs::last_write_time(CacheFile()), old + std::chrono::hours(1));
}

TEST_F(FingerprintCacheTest, ProcessesAtOnceDoNotHarmEachOther) {
  const Taken plain = TakeWithoutCache();
  std::vector<pid_t> others;
  for (int i = 0; i < 4; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      bool good = true;
      for (int round = 0; round < 50; ++round) {
        const MappedFile file(weights_);
        good = good && Take() == plain;
        if (round % 5 == i) unlink(CacheFile().c_str());
      }
      _exit(good ? 0 : 1);
    }
    others.push_back(pid);
  }
  for (const pid_t pid : others) {
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  Take();
  EXPECT_EQ(Take().work.hashed, 0u);
  EXPECT_EQ(std::distance(fs::directory_iterator(cache_.folder()), fs::directory_iterator()), 1) << "no partial files";
}

}  // namespace
}  // namespace diptych
