// A folder for one test, removed after it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace diptych {

struct TestFolder {
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "diptych-test-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~TestFolder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  std::filesystem::path path;
};

}  // namespace diptych
