// One side of a comparison: does its work once for every line on stdin and answers with a line that holds the
// milliseconds. A script can so let two contenders take turns in one run (bench/compare_with_reference.py), and a
// person can pipe in `yes | head -5`.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "bench/support/busy_neighbours.h"

namespace diptych::bench {

// Values of --name VALUE arguments over `defaults`. Prints usage and exits with 2 for anything else.
std::map<std::string, std::string> Arguments(int argc, char** argv, std::map<std::string, std::string> defaults);

// Runs `work` once to warm up, prints "ready", then serves stdin until it ends.
void Contend(const std::function<void()>& work);

// Without neighbours the above. With them `work` is done `rounds` times alone and beside them in turn; prints medians
// in milliseconds with the smallest and the largest, and how many times as long it took beside them.
void Contend(const std::function<void()>& work, BusyNeighbours& neighbours, int rounds);

}  // namespace diptych::bench
