// A folder for the files of one test.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace diptych::integration {

// Removed with everything in it.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::string ReadFile(const std::filesystem::path& path);  // throws std::runtime_error when it is not there
void WriteFile(const std::filesystem::path& path, std::string_view bytes);

}  // namespace diptych::integration
