// The two texts that follow from the option table; both are committed, and a test holds them equal to what is
// generated.
#pragma once

#include <string>

namespace diptych {

// deploy/config/diptych.toml.example
std::string ExampleConfigFile();

// docs/configuration.md
std::string ConfigurationPage();

}  // namespace diptych
