#include "common/memory/memory_facts.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

namespace diptych {
namespace {

namespace fs = std::filesystem;

// "MemAvailable:   21512552 kB" or "inactive_file 12345", each a line; values as written.
std::map<std::string, uint64_t> ReadTable(const fs::path& path) {
  std::map<std::string, uint64_t> table;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    uint64_t value = 0;
    if (!(words >> name >> value)) continue;
    if (name.back() == ':') name.pop_back();
    table[name] = value;
  }
  return table;
}

std::optional<uint64_t> Find(const std::map<std::string, uint64_t>& table, const std::string& name) {
  const auto found = table.find(name);
  return found == table.end() ? std::nullopt : std::optional<uint64_t>(found->second);
}

// Nothing for a file that is not there and for "max".
std::optional<uint64_t> ReadNumber(const fs::path& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? std::optional<uint64_t>(value) : std::nullopt;
}

// Where one version's memory controller is mounted, and which group lies there.
struct Hierarchy {
  bool version_2 = false;
  fs::path mount;    // "/sys/fs/cgroup"
  std::string root;  // the group at the mount point: "/" unless a container sees its own part only
};

bool HasWord(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

// From lines like
// 36 25 0:31 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
std::vector<Hierarchy> FindHierarchies(const fs::path& root) {
  std::vector<Hierarchy> found;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string id, parent, device, group, mount, word, type, source, options;
    if (!(words >> id >> parent >> device >> group >> mount)) continue;
    while (words >> word && word != "-") {
    }
    if (!(words >> type >> source >> options)) continue;
    const bool version_2 = type == "cgroup2";
    if (version_2 || (type == "cgroup" && HasWord(options, "memory"))) found.push_back({version_2, mount, group});
  }
  return found;
}

// This process's group in that hierarchy, from "4:memory:/user.slice" or "0::/user.slice".
std::optional<std::string> FindGroup(const fs::path& root, bool version_2) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (version_2 ? line.compare(0, first, "0") == 0 && controllers.empty() : HasWord(controllers, "memory")) {
      return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

std::optional<MemoryGroup> ReadGroup(const fs::path& folder, bool version_2) {
  std::optional<uint64_t> limit, used;
  uint64_t reclaimable = 0;
  const auto stat = ReadTable(folder / "memory.stat");
  if (version_2) {
    limit = ReadNumber(folder / "memory.max");
    if (const auto high = ReadNumber(folder / "memory.high")) limit = limit ? std::min(*limit, *high) : high;
    used = ReadNumber(folder / "memory.current");
    reclaimable = Find(stat, "inactive_file").value_or(0) + Find(stat, "active_file").value_or(0);
  } else {
    limit = ReadNumber(folder / "memory.limit_in_bytes");
    if (limit && *limit >= uint64_t{1} << 60) limit.reset();  // its word for none
    used = ReadNumber(folder / "memory.usage_in_bytes");
    reclaimable = Find(stat, "total_inactive_file").value_or(0) + Find(stat, "total_active_file").value_or(0);
  }
  if (!limit) return std::nullopt;
  return MemoryGroup{.path = "", .limit = *limit, .used = used.value_or(0), .reclaimable = reclaimable};
}

std::vector<MemoryGroup> ReadGroups(const fs::path& root) {
  std::vector<MemoryGroup> groups;
  for (const Hierarchy& hierarchy : FindHierarchies(root)) {
    const std::optional<std::string> own = FindGroup(root, hierarchy.version_2);
    if (!own) continue;
    // Relative to what is mounted; a group that lies outside it is seen as the mount point itself.
    fs::path below = fs::path(*own).relative_path();
    if (hierarchy.root != "/") {
      const fs::path relative = fs::path(*own).lexically_relative(hierarchy.root);
      below = relative.empty() || *relative.begin() == ".." || relative == "." ? fs::path() : relative;
    }
    if (!below.empty() && *below.begin() == "..") below.clear();
    const fs::path mount = root / hierarchy.mount.relative_path();
    for (;;) {
      if (std::optional<MemoryGroup> group = ReadGroup(mount / below, hierarchy.version_2)) {
        group->path = (fs::path("/") / below).string();
        groups.push_back(*std::move(group));
      }
      if (below.empty()) break;
      below = below.parent_path();
    }
  }
  return groups;
}

uint64_t Less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

void Narrow(std::optional<MemoryRoom>* room, uint64_t bytes, const std::string& set_by, bool without_mapped = false) {
  if (!*room || bytes < (*room)->bytes) *room = MemoryRoom{bytes, set_by, without_mapped};
}

// Stacks of threads to come, the allocator's room for them, buffers of the BLAS.
constexpr uint64_t kAddressesForOthers = uint64_t{256} << 20;
constexpr const char* kAddressSpace = "the address-space limit (ulimit -v)";

std::string NameOf(const MemoryGroup& group) {
  return group.path == "/" ? "the limit of the control group" : "the limit of control group " + group.path;
}

}  // namespace

MemoryFacts ReadMemoryFacts(const fs::path& root) {
  MemoryFacts facts;
  const auto machine = ReadTable(root / "proc/meminfo");
  const auto bytes = [](std::optional<uint64_t> kib) {
    return kib ? std::optional<uint64_t>(*kib << 10) : std::nullopt;
  };
  facts.total = bytes(Find(machine, "MemTotal"));
  facts.available = bytes(Find(machine, "MemAvailable"));
  facts.groups = ReadGroups(root);
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) facts.address_space_limit = limit.rlim_cur;
  facts.address_space_used = bytes(Find(ReadTable(root / "proc/self/status"), "VmSize")).value_or(0);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  facts.own_free = mallinfo2().fordblks;
#endif
  return facts;
}

std::optional<MemoryRoom> RoomNow(const MemoryFacts& facts) {
  std::optional<MemoryRoom> room;
  if (facts.available) Narrow(&room, *facts.available, "");
  for (const MemoryGroup& group : facts.groups) {
    Narrow(&room, Less(group.limit, Less(group.used, group.reclaimable)), NameOf(group));
  }
  if (facts.address_space_limit) {
    Narrow(&room, Less(*facts.address_space_limit, facts.address_space_used + kAddressesForOthers), kAddressSpace, true);
  }
  if (room) room->bytes += facts.own_free;
  return room;
}

std::optional<MemoryRoom> RoomAtMost(const MemoryFacts& facts) {
  std::optional<MemoryRoom> room;
  if (facts.total) Narrow(&room, *facts.total, "");
  for (const MemoryGroup& group : facts.groups) Narrow(&room, group.limit, NameOf(group));
  if (facts.address_space_limit) Narrow(&room, *facts.address_space_limit, kAddressSpace);
  return room;
}

std::string BytesText(uint64_t bytes) {
  const double number = static_cast<double>(bytes);
  const bool large = number >= 0.95e9;
  const double value = large ? number / 1e9 : number / 1e6;
  char text[64];
  std::snprintf(text, sizeof text, "%.*f %s",
                value < 100 && large ? 1
                : value < 9.95       ? 1
                                     : 0,
                value, large ? "GB" : "MB");
  return text;
}

std::string RoomText(const MemoryRoom& room) {
  return BytesText(room.bytes) + (room.set_by.empty() ? "" : " (" + room.set_by + ")");
}

}  // namespace diptych
