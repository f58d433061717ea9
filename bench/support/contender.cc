#include "bench/support/contender.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace diptych::bench {

std::map<std::string, std::string> Arguments(int argc, char** argv, std::map<std::string, std::string> defaults) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const bool known = flag.rfind("--", 0) == 0 && defaults.count(flag.substr(2)) != 0 && i + 1 < argc;
    if (!known) {
      std::fprintf(stderr, "usage: %s", argv[0]);
      for (const auto& [name, value] : defaults) std::fprintf(stderr, " [--%s %s]", name.c_str(), value.c_str());
      std::fprintf(stderr, "\n");
      std::exit(2);
    }
    defaults[flag.substr(2)] = argv[++i];
  }
  return defaults;
}

void Contend(const std::function<void()>& work) {
  work();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    std::cout << std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count()
              << std::endl;
  }
}

}  // namespace diptych::bench
