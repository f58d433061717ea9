// What the developer's own environment and configuration file say is not for tests.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace diptych {

// No variable of ours is set, no configuration file is looked for, and the cache is not the developer's.
inline void MakeEnvironmentPlain() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (text.rfind("DIPTYCH_", 0) == 0) names.push_back(text.substr(0, text.find('=')));
  }
  for (const std::string& name : names) unsetenv(name.c_str());
  setenv("DIPTYCH_CONFIG", "none", 1);
  setenv("XDG_CACHE_HOME", DIPTYCH_BINARY_DIR "/tests/cache", 1);
}

}  // namespace diptych
