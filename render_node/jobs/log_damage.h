// Whether SQLite will pass over changes in its write-ahead log without a word. It reads the log up to the first page
// whose checksum is wrong, which is right after a power cut and a silent loss after damage.
// Source: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace diptych {

struct LogDamage {
  int64_t readable_pages = 0;  // before the first that is broken
  int64_t lost_pages = 0;      // behind that one
};

// Nothing when all can be read that was committed. How much that is the index beside the log says (`DATABASE-shm`), as
// a killed process leaves it. Without an index: nothing when there is no log and when only its last page is broken.
// After a power cut the index may count what never reached the disk and nobody was promised. Throws Error as
// ReadWholeFile.
std::optional<LogDamage> FindLogDamage(const std::filesystem::path& database);

}  // namespace diptych
