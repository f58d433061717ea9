#include "common/memory/memory_facts.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <string>

#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

constexpr uint64_t kGiB = uint64_t{1} << 30;

// The files of a machine, below a folder.
class FakeRoot {
 public:
  FakeRoot() {
    Write("proc/meminfo", "MemTotal:       24684092 kB\nMemFree:  1 kB\nMemAvailable:   21512552 kB\n");
    Write("proc/self/status", "Name:\tx\nVmSize:\t    2048 kB\n");
  }
  void Write(const std::string& path, const std::string& text) const {
    const fs::path file = fs::path(folder_ / path);
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  // Without what this process itself has, which the tests do not know.
  MemoryFacts Read() const {
    MemoryFacts facts = ReadMemoryFacts(fs::path(folder_ / "."));
    facts.address_space_limit.reset();
    facts.own_free = 0;
    return facts;
  }

 private:
  const TemporaryFolder folder_;
};

TEST(MemoryFacts, AreTheMachinesWhereNothingElseLimits) {
  const MemoryFacts facts = FakeRoot().Read();
  EXPECT_EQ(facts.total, uint64_t{24684092} << 10);
  EXPECT_EQ(RoomNow(facts)->bytes, uint64_t{21512552} << 10);
  EXPECT_EQ(RoomNow(facts)->set_by, "");
  EXPECT_EQ(RoomAtMost(facts)->bytes, uint64_t{24684092} << 10);
  EXPECT_EQ(facts.address_space_used, uint64_t{2048} << 10);
}

TEST(MemoryFacts, TakeTheNarrowestControlGroupOfAllAbove) {
  const FakeRoot root;
  root.Write("proc/self/mountinfo", "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  root.Write("proc/self/cgroup", "0::/user.slice/job.scope\n");
  root.Write("sys/fs/cgroup/user.slice/memory.max", "8589934592\n");  // 8 GiB
  root.Write("sys/fs/cgroup/user.slice/memory.current", "6442450944\n");
  root.Write("sys/fs/cgroup/user.slice/memory.stat", "anon 1\ninactive_file 1073741824\nactive_file 1073741824\n");
  root.Write("sys/fs/cgroup/user.slice/job.scope/memory.max", "max\n");
  root.Write("sys/fs/cgroup/user.slice/job.scope/memory.current", "1\n");
  const MemoryFacts facts = root.Read();
  ASSERT_EQ(facts.groups.size(), 1u);
  EXPECT_EQ(RoomNow(facts)->bytes, 4 * kGiB);  // 8 - (6 - 2 of page cache)
  EXPECT_EQ(RoomNow(facts)->set_by, "the limit of control group /user.slice");
  EXPECT_EQ(RoomAtMost(facts)->bytes, 8 * kGiB);
  EXPECT_EQ(RoomText(*RoomAtMost(facts)), "8.6 GB (the limit of control group /user.slice)");
}

TEST(MemoryFacts, CountMemoryHighAsALimit) {
  const FakeRoot root;
  root.Write("proc/self/mountinfo", "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  root.Write("proc/self/cgroup", "0::/a\n");
  root.Write("sys/fs/cgroup/a/memory.max", "max\n");
  root.Write("sys/fs/cgroup/a/memory.high", "2147483648\n");
  root.Write("sys/fs/cgroup/a/memory.current", "1073741824\n");
  EXPECT_EQ(RoomNow(root.Read())->bytes, kGiB);
}

TEST(MemoryFacts, ReadVersionOneAndItsWordForNoLimit) {
  const FakeRoot root;
  root.Write("proc/self/mountinfo",
             "36 25 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
             "37 25 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
             "38 25 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw\n");
  root.Write("proc/self/cgroup", "4:memory:/a/b\n1:cpu:/\n0::/\n");
  root.Write("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
  root.Write("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "4096\n");
  root.Write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3221225472\n");
  root.Write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "2147483648\n");
  root.Write("sys/fs/cgroup/memory/a/memory.stat", "cache 7\ntotal_inactive_file 1073741824\ntotal_active_file 0\n");
  const MemoryFacts facts = root.Read();
  ASSERT_EQ(facts.groups.size(), 1u);
  EXPECT_EQ(facts.groups[0].path, "/a");
  EXPECT_EQ(RoomNow(facts)->bytes, 2 * kGiB);
}

// A container that sees its own part of the hierarchy only, without a name space for control groups.
TEST(MemoryFacts, FindTheGroupOfAContainerAtTheMountPoint) {
  const FakeRoot root;
  root.Write("proc/self/mountinfo", "37 25 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  root.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
  root.Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n");
  for (const char* group : {"4:memory:/docker/abc\n", "4:memory:/elsewhere\n", "4:memory:/\n"}) {
    root.Write("proc/self/cgroup", group);
    ASSERT_EQ(root.Read().groups.size(), 1u) << group;
    EXPECT_EQ(RoomNow(root.Read())->bytes, kGiB) << group;
  }
  root.Write("proc/self/cgroup", "4:memory:/docker/abc/inner\n");
  root.Write("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "4096\n");
  root.Write("sys/fs/cgroup/memory/inner/memory.usage_in_bytes", "0\n");
  EXPECT_EQ(RoomNow(root.Read())->bytes, 4096u);
}

TEST(MemoryFacts, AreUnknownWhereTheSystemSaysNothing) {
  const TemporaryFolder empty;
  MemoryFacts facts = ReadMemoryFacts(fs::path(empty / "."));
  facts.address_space_limit.reset();
  EXPECT_EQ(RoomNow(facts), std::nullopt);
  EXPECT_EQ(RoomAtMost(facts), std::nullopt);
}

TEST(MemoryFacts, KnowTheAddressSpaceLimit) {
  MemoryFacts facts;
  facts.available = 8 * kGiB;
  facts.total = 16 * kGiB;
  facts.address_space_limit = 4 * kGiB + kGiB / 4;  // of which a quarter is for threads and the like
  facts.address_space_used = kGiB;
  EXPECT_EQ(RoomNow(facts)->bytes, 3 * kGiB);
  EXPECT_EQ(RoomNow(facts)->set_by, "the address-space limit (ulimit -v)");
  EXPECT_TRUE(RoomNow(facts)->without_mapped_files);
  MemoryFacts less = facts;
  less.available = kGiB;
  EXPECT_FALSE(RoomNow(less)->without_mapped_files);
  EXPECT_EQ(RoomAtMost(facts)->bytes, 4 * kGiB + kGiB / 4);
  facts.own_free = kGiB;  // the allocator gives it to the next who asks
  EXPECT_EQ(RoomNow(facts)->bytes, 4 * kGiB);
}

TEST(MemoryFacts, AreThoseOfThisMachine) {
  const std::optional<MemoryRoom> now = RoomNow(ReadMemoryFacts()), most = RoomAtMost(ReadMemoryFacts());
  ASSERT_TRUE(now && most);
  EXPECT_GT(now->bytes, 0u);
  EXPECT_GT(most->bytes, uint64_t{64} << 20);
}

TEST(MemoryFacts, ReadAsNumbersForPeople) {
  EXPECT_EQ(BytesText(12'300'000'000), "12.3 GB");
  EXPECT_EQ(BytesText(340'000'000), "340 MB");
  EXPECT_EQ(BytesText(400'000), "0.4 MB");
  EXPECT_EQ(BytesText(996'000'000), "1.0 GB");
  EXPECT_EQ(BytesText(123'400'000'000), "123 GB");
}

}  // namespace
}  // namespace diptych
