#include "common/config/fingerprint_folder.h"

#include <stdlib.h>

#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

TEST(FingerprintFolder, IsTheCacheOfTheUserOrOfTheUnit) {
  const TestFolder home;
  setenv("HOME", home.path.c_str(), 1);
  unsetenv("XDG_CACHE_HOME");
  unsetenv("CACHE_DIRECTORY");
  EXPECT_EQ(FingerprintFolder(""), home / ".cache/diptych/fingerprints");
  setenv("CACHE_DIRECTORY", "/var/cache/diptych-encoderd:/var/cache/other", 1);
  EXPECT_EQ(FingerprintFolder(""), "/var/cache/diptych-encoderd/fingerprints");
  setenv("XDG_CACHE_HOME", "relative", 1);
  EXPECT_EQ(FingerprintFolder(""), "/var/cache/diptych-encoderd/fingerprints");
  setenv("XDG_CACHE_HOME", "/elsewhere", 1);
  EXPECT_EQ(FingerprintFolder(""), "/elsewhere/diptych/fingerprints");
  EXPECT_EQ(FingerprintFolder("mine"), "mine");
  EXPECT_EQ(FingerprintFolder("none"), "");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("CACHE_DIRECTORY");
  setenv("HOME", "/nonexistent", 1);  // of a service without one
  EXPECT_EQ(FingerprintFolder(""), "");
}

}  // namespace
}  // namespace diptych
