// diptych-config-docs: prints the files that are generated from the option table.
#include <iostream>
#include <string_view>

#include "common/config/config_docs.h"

int main(int argc, char** argv) {
  const std::string_view wanted = argc == 2 ? argv[1] : "";
  if (wanted == "--example") {
    std::cout << diptych::ExampleConfigFile();
  } else if (wanted == "--markdown") {
    std::cout << diptych::ConfigurationPage();
  } else {
    std::cerr << "usage: diptych-config-docs --example | --markdown\n";
    return 2;
  }
  return std::cout.flush() ? 0 : 1;
}
