#include "common/config/config_docs.h"

#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "common/config/profile_file.h"
#include "common/config/value_text.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

const std::string kExamplePath = DIPTYCH_SOURCE_DIR "/deploy/config/diptych.toml.example";
const std::string kPagePath = DIPTYCH_SOURCE_DIR "/docs/configuration.md";

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ConfigDocs, CommittedExampleIsTheGeneratedOne) {
  EXPECT_EQ(ReadText(kExamplePath), ExampleConfigFile()) << "run: diptych-config-docs --example > " << kExamplePath;
}

TEST(ConfigDocs, CommittedPageIsTheGeneratedOne) {
  EXPECT_EQ(ReadText(kPagePath), ConfigurationPage()) << "run: diptych-config-docs --markdown > " << kPagePath;
}

TEST(ConfigDocs, ExampleStatesEveryKeyWithItsDefault) {
  std::set<const OptionInfo*> stated;
  for (const auto& [info, value] : ReadProfile(kExamplePath, "default")) {
    EXPECT_EQ(value, DefaultOf(*info)) << info->key;
    stated.insert(info);
  }
  for (const OptionInfo* info : AllOptions()) {
    if (info->key.empty() || stated.contains(info)) continue;
    // What has no default can only be shown in a comment.
    EXPECT_EQ(TomlText(DefaultOf(*info)), "") << info->key;
    const std::string name(info->key.substr(info->key.find('.') + 1));
    EXPECT_NE(ReadText(kExamplePath).find(absl::StrCat("\n# ", name, " = ...")), std::string::npos) << info->key;
  }
}

TEST(ConfigDocs, OtherProfilesOfTheExampleAreLegal) {
  for (const char* profile : {"rtx4090", "low_vram"})
    EXPECT_FALSE(ReadProfile(kExamplePath, profile).empty()) << profile;
}

TEST(ConfigDocs, PageDocumentsEveryFlag) {
  const std::string page = ConfigurationPage();
  for (const OptionInfo* info : AllOptions()) {
    EXPECT_NE(page.find(absl::StrCat("`", std::string(info->flag), "`")), std::string::npos) << info->flag;
  }
}

}  // namespace
}  // namespace diptych
