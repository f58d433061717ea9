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

// Nothing when there is no log, when all of it can be read, and when only its last page is broken: so the death of a
// process leaves it, in the middle of a change that nobody was promised. Throws Error as ReadWholeFile.
std::optional<LogDamage> FindLogDamage(const std::filesystem::path& log);

}  // namespace diptych
