// How much memory this process can still take, and what sets that limit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace diptych {

// One control group that limits its processes, from memory.max (version 2) or memory.limit_in_bytes (version 1).
struct MemoryGroup {
  std::string path;          // as /proc/self/cgroup names it, "/user.slice"
  uint64_t limit = 0;        // bytes; memory.high where that is lower
  uint64_t used = 0;         // bytes, page cache included
  uint64_t reclaimable = 0;  // bytes of page cache, which the kernel drops when somebody needs memory
};

// What the system says; nothing where it says nothing. All in bytes.
struct MemoryFacts {
  std::optional<uint64_t> total;                // of this machine
  std::optional<uint64_t> available;            // of it, without swapping; page cache counts as available
  std::vector<MemoryGroup> groups;              // this process's own and all above it that have a limit
  std::optional<uint64_t> address_space_limit;  // ulimit -v
  uint64_t address_space_used = 0;
  uint64_t own_free = 0;  // taken by this process's allocator and in no use
};

// An amount of memory and what makes it that much, for messages: "21.3 GB of memory are available".
struct MemoryRoom {
  uint64_t bytes = 0;
  std::string set_by;  // "", or "the limit of control group /user.slice", "the address-space limit (ulimit -v)"
  bool without_mapped_files = false;  // files that this process has mapped are taken from it already
};

// `root` stands for "/", for tests. Never throws for what it cannot read.
MemoryFacts ReadMemoryFacts(const std::filesystem::path& root = "/");

// What can be taken now; nullopt where the system says nothing.
std::optional<MemoryRoom> RoomNow(const MemoryFacts& facts);

// What could be taken at most if all other programs ended.
std::optional<MemoryRoom> RoomAtMost(const MemoryFacts& facts);

// "12.3 GB", "340 MB", "0.4 MB": powers of ten, one digit below ten of a unit.
std::string BytesText(uint64_t bytes);

// "21.3 GB", "4.0 GB (the limit of control group /user.slice)"
std::string RoomText(const MemoryRoom& room);

}  // namespace diptych
