#include "common/config/config_search.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
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

TEST(ConfigSearch, WhatCannotBeFollowedIsThere) {
  const TestFolder folder;
  const Places places = {folder / "a.toml", folder / "b.toml"};
  std::ofstream(places[1]) << "";
  std::filesystem::create_symlink(folder / "nowhere", places[0]);
  EXPECT_EQ(FindConfig(places), places[0]) << "a link to nowhere";
  EXPECT_EQ(FindConfig({"/dev/null/diptych/diptych.toml"}), "") << "XDG_CONFIG_HOME=/dev/null says: none";
  std::filesystem::create_symlink(folder / "nowhere", folder / "closed");
  const Places in_nowhere = {folder / "closed/diptych.toml"};
  EXPECT_EQ(FindConfig(in_nowhere), in_nowhere[0]) << "the folder is a link to nowhere";
  EXPECT_EQ(FindConfig({folder / "none/diptych.toml"}), "");
}

}  // namespace
}  // namespace diptych
