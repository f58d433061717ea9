#include "render_node/jobs/state_folder.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/digest/sha256.h"
#include "gtest/gtest.h"
#include "render_node/jobs/job_id.h"
#include "render_node/jobs/picture_store.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "render_node/jobs/uploaded_conditioning.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

constexpr char kId[] = "01ARYZ6S410000000000000000";

std::vector<uint8_t> BytesOf(const std::string& text) { return {text.begin(), text.end()}; }

void WriteText(const std::filesystem::path& path, const std::string& text) {
  WriteFileDurably(path, {{text.data(), text.size()}});
}

TEST(StateFolder, IsForItsOwnerAlone) {
  const TemporaryFolder temporary;
  const StateFolder folder(temporary.path() / "new" / "state");
  for (const auto& path : {folder.root(), folder.pictures(), folder.conditioning()}) {
    struct stat facts {};
    ASSERT_EQ(::stat(path.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0700u) << path;
  }
}

mode_t ModeOf(const std::filesystem::path& path) {
  struct stat facts {};
  EXPECT_EQ(::lstat(path.c_str(), &facts), 0) << path;
  return facts.st_mode & 07777;
}

// As an operator's mkdir, an older version or cp leaves it.
class Umask {
 public:
  explicit Umask(mode_t mask) : former_(::umask(mask)) {}
  ~Umask() { ::umask(former_); }

 private:
  const mode_t former_;
};

TEST(StateFolder, ClosesWhatWasOpenToOthersAndSaysSo) {
  const Umask open_to_all(0);
  const TemporaryFolder temporary;
  const std::filesystem::path root = temporary.path() / "state";
  std::filesystem::create_directories(root / "pictures");
  std::filesystem::create_directories(root / "conditioning-store");
  std::filesystem::create_directories(root / "inputs");
  std::ofstream(root / "inputs" / "c") << "source";
  std::ofstream(root / "jobs.sqlite-wal.damaged") << "prompts";
  std::ofstream(root / "pictures" / "a.png") << "picture";
  std::ofstream(root / "conditioning-store" / "b") << "rows";
  std::ofstream(root / "notes.txt") << "not ours";
  std::filesystem::create_symlink(root / "notes.txt", root / "pictures" / "link");
  const StateFolder folder(root);
  for (const char* part : {"", "pictures", "inputs", "conditioning", "conditioning-store", "checkpoints"}) {
    EXPECT_EQ(ModeOf(root / part), 0700u) << part;
  }
  for (const char* part : {"lock", "jobs.sqlite-wal.damaged", "pictures/a.png", "conditioning-store/b", "inputs/c"}) {
    EXPECT_EQ(ModeOf(root / part), 0600u) << part;
  }
  EXPECT_EQ(ModeOf(root / "notes.txt"), 0666u);
  ASSERT_EQ(folder.warnings().size(), 1u);
  EXPECT_EQ(folder.warnings()[0], "state folder " + root.string() +
                                      ": 8 of its files and folders were open to other users and are their owner's "
                                      "alone now");
}

std::string RefusalOf(const std::filesystem::path& root) {
  const auto error = ErrorOf([&] { const StateFolder folder(root); });
  if (!error) return "";
  EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition) << error->what();
  return error->what();
}

TEST(StateFolder, HasANameThatStaysForAllItsLives) {
  const TemporaryFolder temporary;
  const std::filesystem::path root = temporary.path() / "state", other = temporary.path() / "other";
  const auto name_of = [&](const std::filesystem::path& folder, uint64_t seed) {
    return StateFolder(folder).Name(RepeatableChance(seed), 1'700'000'000'000);
  };
  const std::string name = name_of(root, 1);
  EXPECT_TRUE(IsJobId(name)) << name;
  EXPECT_EQ(name_of(root, 2), name);
  EXPECT_NE(name_of(other, 3), name);
  std::ofstream(root / "name", std::ios::trunc) << "cut off";
  EXPECT_NE(name_of(root, 4), name);
  EXPECT_EQ(name_of(root, 5), name_of(root, 6));
}

TEST(StateFolder, RefusesAFolderThatManyShare) {
  const TemporaryFolder temporary;
  const std::filesystem::path root = temporary.path() / "tmp";
  std::filesystem::create_directories(root);
  ::chmod(root.c_str(), 01777);
  EXPECT_TRUE(Says(RefusalOf(root), "is one that all users put files into; choose a folder in it"));
  EXPECT_EQ(ModeOf(root), 01777u);
  EXPECT_TRUE(std::filesystem::is_empty(root)) << "nothing was put into it";
  EXPECT_EQ(RefusalOf(root / "mine"), "");
}

// Another user, or whoever made the folder, prepared it: nothing elsewhere is written, emptied or waited for.
TEST(StateFolder, RefusesPartsThatLeadElsewhere) {
  using std::filesystem::path;
  for (const char* part : {"lock", "jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm", "asked-to-stop", "pictures",
                           "conditioning", "conditioning-store", "checkpoints"}) {
    const TemporaryFolder temporary;
    const path root = temporary.path() / "state", victim = temporary.path() / "victim", folder = temporary.path() / "f";
    std::filesystem::create_directories(root);
    std::filesystem::create_directories(folder);
    WriteText(victim, "precious");
    WriteText(folder / "a.unfinished.b", "precious");
    const bool is_folder = std::string(part).find('.') == std::string::npos && std::string(part) != "lock" &&
                           std::string(part) != "asked-to-stop";
    std::filesystem::create_symlink(is_folder ? folder : victim, root / part);
    EXPECT_TRUE(Says(RefusalOf(root), (root / part).string() + " is a symbolic link")) << part;
    std::filesystem::remove(root / part);
    ASSERT_EQ(::mkfifo((root / part).c_str(), 0600), 0);
    EXPECT_TRUE(Says(RefusalOf(root), (root / part).string() + " is there and is not a ")) << part;
    std::filesystem::remove(root / part);
    if (!is_folder) {
      std::filesystem::create_hard_link(victim, root / part);
      EXPECT_TRUE(Says(RefusalOf(root), "has a second name elsewhere")) << part;
      std::filesystem::remove(root / part);
    }
    EXPECT_EQ(ReadWholeFile(victim), BytesOf("precious")) << part;
    EXPECT_TRUE(std::filesystem::exists(folder / "a.unfinished.b")) << part;
    EXPECT_EQ(RefusalOf(root), "") << "mended";
  }
}

TEST(StateFolder, MayBeALinkOfItsUser) {
  const TemporaryFolder temporary;
  std::filesystem::create_directories(temporary.path() / "disk");
  std::filesystem::create_symlink(temporary.path() / "disk", temporary.path() / "state");
  EXPECT_EQ(RefusalOf(temporary.path() / "state"), "");
  EXPECT_TRUE(std::filesystem::exists(temporary.path() / "disk" / "pictures"));
}

TEST(StateFolder, RefusesALinkOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "root alone may give a link away";
  const TemporaryFolder temporary;
  std::filesystem::create_directories(temporary.path() / "precious");
  std::filesystem::create_symlink(temporary.path() / "precious", temporary.path() / "state");
  ASSERT_EQ(::lchown((temporary.path() / "state").c_str(), 1, 1), 0);
  EXPECT_TRUE(Says(RefusalOf(temporary.path() / "state"), "is a symbolic link of user daemon"));
  EXPECT_TRUE(std::filesystem::is_empty(temporary.path() / "precious"));
}

TEST(StateFolder, RefusesWhatBelongsToAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "root alone may give a folder away";
  const TemporaryFolder temporary;
  const std::filesystem::path root = temporary.path() / "state";
  std::filesystem::create_directories(root);
  ASSERT_EQ(::chown(root.c_str(), 1, 1), 0);
  EXPECT_TRUE(Says(RefusalOf(root), "belongs to user daemon, who could change what is in it"));
  EXPECT_TRUE(std::filesystem::is_empty(root));
  ASSERT_EQ(::chown(root.c_str(), 0, 0), 0);
  WriteText(root / "jobs.sqlite", "");
  ASSERT_EQ(::chown((root / "jobs.sqlite").c_str(), 1, 1), 0);
  EXPECT_TRUE(Says(RefusalOf(root), "jobs.sqlite belongs to user daemon"));
}

TEST(ReadWholeFile, FollowsNoLinkAndWaitsForNoPipe) {
  const TemporaryFolder temporary;
  WriteText(temporary.path() / "secret", "secret");
  std::filesystem::create_symlink(temporary.path() / "secret", temporary.path() / "link");
  ASSERT_EQ(::mkfifo((temporary.path() / "pipe").c_str(), 0600), 0);
  for (const char* name : {"link", "pipe"}) {
    const auto error = ErrorOf([&] { ReadWholeFile(temporary.path() / name); });
    ASSERT_TRUE(error.has_value()) << name;
    EXPECT_EQ(error->code(), ErrorCode::kDataLoss) << error->what();
  }
}

TEST(StateFolder, TakesNoJobWhenLittleIsFree) {
  const TemporaryFolder temporary;
  const StateFolder folder(temporary.path() / "state");
  folder.CheckRoom(0);
  folder.CheckRoom(1);
  const int64_t free = folder.health().free_bytes;
  struct statvfs disk {};
  ASSERT_EQ(::statvfs(temporary.path().c_str(), &disk), 0);
  const int64_t twentieth = static_cast<int64_t>(disk.f_blocks) * static_cast<int64_t>(disk.f_frsize) / 20;
  const auto error = ErrorOf([&] { folder.CheckRoom(std::numeric_limits<int64_t>::max()); });
  EXPECT_EQ(error.has_value(), free < twentieth) << "no more is asked of a small disk than its twentieth";
}

TEST(StateFolder, ItsStoreIsForItsOwnerAloneWhateverTheUmaskIs) {
  const Umask open_to_all(0);
  const TemporaryFolder temporary;
  const StateFolder folder(temporary.path() / "state");
  const SqliteJobStore store(folder, SystemRandom());
  folder.LeaveStopMark();
  for (const char* part : {"jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm", "asked-to-stop", "lock"}) {
    EXPECT_EQ(ModeOf(folder.root() / part), 0600u) << part;
  }
}

TEST(StateFolder, SaysWhoseItIsWhenItCannotBeUsed) {
  if (::geteuid() != 0) GTEST_SKIP() << "root alone may give a folder away";
  const TemporaryFolder temporary;
  const std::filesystem::path root = temporary.path() / "state";
  std::filesystem::create_directories(root);
  ::chmod(temporary.path().c_str(), 0755);
  ASSERT_EQ(::chown(root.c_str(), 1, 1), 0);
  const pid_t child = ::fork();
  if (child == 0) {  // as the user nobody
    if (::setuid(65534) != 0) ::_exit(2);
    const auto error = ErrorOf([&] { const StateFolder folder(root); });
    ::_exit(error && Says(error->what(),
                          " belongs to user daemon, who could change what is in it, and this daemon runs as user "
                          "nobody; run it as that user")
                ? 0
                : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(StateFolder, SaysWhetherTheNextJobCanBeKept) {
  const TemporaryFolder temporary;
  const StateFolder folder(temporary.path() / "state");
  const StateFolder::Health well = folder.health();
  EXPECT_GT(well.free_bytes, 0);
  EXPECT_TRUE(well.problem.empty() || Says(well.problem, "MiB are free")) << well.problem;
  std::filesystem::remove_all(folder.root());
  EXPECT_EQ(folder.health().problem, folder.root().string() + " cannot be written: No such file or directory");
}

TEST(StateFolder, RefusesASecondDaemonAndNamesTheFirst) {
  const TemporaryFolder temporary;
  auto first = std::make_unique<StateFolder>(temporary.path() / "state");
  const auto error = ErrorOf([&] { StateFolder second(temporary.path() / "state" / ""); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Says(error->what(), "is in use by another render daemon (process " + std::to_string(::getpid()) + ")"))
      << error->what();
  first.reset();
  const StateFolder third(temporary.path() / "state");
}

TEST(StateFolder, SaysWhenItCannotBeMade) {
  const TemporaryFolder temporary;
  WriteText(temporary.path() / "file", "");
  const auto file = ErrorOf([&] { StateFolder folder(temporary.path() / "file"); });
  EXPECT_EQ(file->code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Says(file->what(), "file is there and is not a folder")) << file->what();
  EXPECT_EQ(ErrorOf([&] { StateFolder folder(temporary.path() / "file" / "state"); })->code(), ErrorCode::kUnavailable);
}

TEST(StateFolder, ClearsWhatAKilledDaemonLeftHalfWritten) {
  const TemporaryFolder temporary;
  std::filesystem::path half;
  {
    const StateFolder folder(temporary.path());
    half = folder.pictures() / (std::string(kId) + ".png.unfinished.aBcDeF");
    std::ofstream(half) << "half";
    WriteText(folder.pictures() / (std::string(kId) + ".png"), "whole");
  }
  const StateFolder folder(temporary.path());
  EXPECT_FALSE(std::filesystem::exists(half));
  EXPECT_EQ(PictureStore(folder.pictures()).Load(kId), BytesOf("whole"));
}

TEST(WriteFileDurably, ReplacesAFileAsAWhole) {
  const TemporaryFolder temporary;
  const auto path = temporary.path() / "file";
  WriteText(path, "first and longer");
  WriteFileDurably(path, {{"sec", 3}, {"ond", 3}});
  EXPECT_EQ(ReadWholeFile(path), BytesOf("second"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temporary.path()), {}), 1) << "nothing is left beside it";
}

TEST(WriteFileDurably, LeavesTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder temporary;
  const auto path = temporary.path() / "file";
  WriteText(path, "old");
  // A limit on the size of files stands for the full disk; the kernel answers EFBIG and, unless ignored, a signal.
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ::getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit small{4096, old_limit.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto error = ErrorOf([&] { WriteText(path, std::string(10'000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, before);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kResourceExhausted) << error->what();
  EXPECT_EQ(ReadWholeFile(path), BytesOf("old"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temporary.path()), {}), 1) << "nothing is left beside it";
}

TEST(WriteFileDurably, LetsConcurrentWritersOfOneFileWin) {
  const TemporaryFolder temporary;
  const auto path = temporary.path() / "file";
  {
    std::vector<std::jthread> writers;
    for (char letter : {'a', 'b', 'c', 'd'}) {
      writers.emplace_back([&path, letter] {
        for (int i = 0; i < 5; ++i) WriteText(path, std::string(5000, letter));
      });
    }
  }
  const std::vector<uint8_t> bytes = ReadWholeFile(path);
  EXPECT_EQ(bytes, std::vector<uint8_t>(5000, bytes.at(0)));
}

TEST(WriteUnreadFileDurably, WritesTheWholeFileAndNothingBesideIt) {
  const TemporaryFolder temporary;
  const auto path = temporary.path() / "file";
  WriteText(path, "first and longer");
  WriteUnreadFileDurably(path, {{"sec", 3}, {"ond", 3}});
  EXPECT_EQ(ReadWholeFile(path), BytesOf("second"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temporary.path()), {}), 1);
  EXPECT_TRUE(ErrorOf([&] { WriteUnreadFileDurably(temporary.path() / "none" / "file", {{"x", 1}}); }).has_value());
}

TEST(PictureStore, KeepsEqualPicturesOnceUnderTheHashOfTheirBytes) {
  const TemporaryFolder temporary;
  PictureStore pictures(temporary.path());
  const std::string name = pictures.Publish(BytesOf("png"));
  EXPECT_EQ(name, Sha256Hex("png"));
  EXPECT_EQ(pictures.Publish(BytesOf("png")), name);
  EXPECT_NE(pictures.Publish(BytesOf("other")), name);
  EXPECT_EQ(pictures.Load(name), BytesOf("png"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temporary.path()), {}), 2);
  EXPECT_FALSE(pictures.RemoveOlderThan(name, std::chrono::minutes(1)));
  EXPECT_TRUE(pictures.RemoveOlderThan(name, std::chrono::minutes(-1)));
  EXPECT_FALSE(pictures.RemoveOlderThan(name, std::chrono::minutes(-1))) << "there is none";
  EXPECT_FALSE(pictures.Has(name));
  EXPECT_EQ(ErrorOf([&] { pictures.Load(name); })->code(), ErrorCode::kNotFound);
}

TEST(PictureStore, KnowsADamagedPictureAndMendsItWithTheNextOfTheSameBytes) {
  const TemporaryFolder temporary;
  PictureStore pictures(temporary.path());
  const std::string name = pictures.Publish(BytesOf("png"));
  WriteText(temporary.path() / (name + ".png"), "pnG");
  EXPECT_EQ(ErrorOf([&] { pictures.Load(name); })->code(), ErrorCode::kDataLoss);
  pictures.Publish(BytesOf("png"));
  EXPECT_EQ(pictures.Load(name), BytesOf("png"));
}

TEST(PictureStore, FindsPicturesOfEarlierVersionsByTheirJob) {
  const TemporaryFolder temporary;
  WriteText(temporary.path() / (std::string(kId) + ".png"), "old");
  EXPECT_EQ(PictureStore(temporary.path()).Load(kId), BytesOf("old"));
}

TEST(PictureStore, MakesNoPathOfWhatIsNoId) {
  const TemporaryFolder temporary;
  WriteText(temporary.path() / "secret.png", "secret");
  std::filesystem::create_directory(temporary.path() / "pictures");
  const PictureStore pictures(temporary.path() / "pictures");
  EXPECT_EQ(ErrorOf([&] { pictures.Load("../secret"); })->code(), ErrorCode::kNotFound);
}

TEST(ConditioningFiles, GiveBackEveryFactAndByte) {
  const TemporaryFolder temporary;
  ConditioningFiles files(temporary.path());
  Conditioning conditioning = ConditioningOf('\n');
  const std::string hash = files.Save(conditioning);
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(files.Load(hash).header, conditioning.header);
  EXPECT_EQ(files.Load(hash).bytes, conditioning.bytes);
  EXPECT_EQ(files.Save(conditioning), hash);
  conditioning.header.layer = -1;
  EXPECT_NE(files.Save(conditioning), hash);
}

TEST(ConditioningFiles, DoNotCallLostWhatCannotBeReadNow) {
  const TemporaryFolder temporary;
  ConditioningFiles files(temporary.path());
  const std::string hash = files.Save(ConditioningOf(1));
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const auto error = ErrorOf([&] { files.Load(hash); });
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kResourceExhausted) << error->what();
  EXPECT_EQ(files.Load(hash).bytes, ConditioningOf(1).bytes);
}

TEST(StateFolder, KeepsTheMarkOfAStopForTheNextDaemonOnce) {
  const TemporaryFolder temporary;
  {
    const StateFolder folder(temporary.path() / "state");
    EXPECT_FALSE(folder.TakeStopMark());
    folder.LeaveStopMark();
  }
  const StateFolder folder(temporary.path() / "state");
  EXPECT_TRUE(folder.TakeStopMark());
  EXPECT_FALSE(folder.TakeStopMark());
}

TEST(ConditioningFiles, RefuseWhatIsNotWhole) {
  const TemporaryFolder temporary;
  ConditioningFiles files(temporary.path());
  Conditioning conditioning = ConditioningOf(1);
  const std::string hash = files.Save(conditioning);
  const std::vector<uint8_t> whole = ReadWholeFile(temporary.path() / hash);
  const auto load = [&](const std::vector<uint8_t>& bytes) {
    std::ofstream file(temporary.path() / hash, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    file.close();
    return ErrorOf([&] { files.Load(hash); });
  };
  EXPECT_FALSE(load(whole).has_value());
  for (size_t at = 0; at < whole.size(); ++at) {
    std::vector<uint8_t> damaged = whole;
    damaged[at] ^= 1;
    const auto error = load(damaged);
    ASSERT_TRUE(error.has_value()) << "a flipped bit in byte " << at << " went unseen";
    EXPECT_EQ(error->code(), ErrorCode::kDataLoss);
  }
  EXPECT_EQ(load({whole.begin(), whole.end() - 1})->code(), ErrorCode::kDataLoss);
  EXPECT_EQ(load({})->code(), ErrorCode::kDataLoss);
  std::filesystem::remove(temporary.path() / hash);
  EXPECT_EQ(ErrorOf([&] { files.Load(hash); })->code(), ErrorCode::kDataLoss);
  conditioning.bytes.pop_back();
  EXPECT_EQ(ErrorOf([&] { files.Save(conditioning); })->code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace diptych
