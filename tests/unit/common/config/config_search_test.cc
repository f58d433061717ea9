#include "common/config/config_search.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using Places = std::vector<std::string>;

TEST(ConfigSearch, LooksInTheUsersFolderAndThenInTheSystems) {
  setenv("HOME", "/home/somebody", 1);
  unsetenv("XDG_CONFIG_HOME");
  EXPECT_EQ(ConfigPlaces(), (Places{"/home/somebody/.config/diptych/diptych.toml", "/etc/diptych/diptych.toml"}));
  setenv("XDG_CONFIG_HOME", "relative", 1);
  EXPECT_EQ(ConfigPlaces()[0], "/home/somebody/.config/diptych/diptych.toml");
  setenv("XDG_CONFIG_HOME", "/elsewhere", 1);
  EXPECT_EQ(ConfigPlaces(), (Places{"/elsewhere/diptych/diptych.toml", "/etc/diptych/diptych.toml"}));
  unsetenv("XDG_CONFIG_HOME");
}

TEST(ConfigSearch, TakesTheFirstThatIsThere) {
  const TestFolder folder;
  const Places places = {folder / "a.toml", folder / "b.toml"};
  EXPECT_EQ(FindConfig(places), "");
  std::ofstream(places[1]) << "";
  EXPECT_EQ(FindConfig(places), places[1]);
  std::ofstream(places[0]) << "";
  EXPECT_EQ(FindConfig(places), places[0]);
  chmod(places[0].c_str(), 0);  // one's own file that cannot be read is a mistake to be told
  EXPECT_EQ(FindConfig(places), places[0]);
}

}  // namespace
}  // namespace diptych
