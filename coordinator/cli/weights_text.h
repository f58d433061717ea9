// What files of weights are, for people and for scripts.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/inspect/weights_report.h"

namespace diptych {

// The path, and below it what is known, a line each; broken at `columns` between words.
std::string WeightsText(const WeightsReport& report, size_t columns);

// One row of a list: something below a folder.
struct ListedWeights {
  std::string path;
  std::string name;      // below the folder, "vae/ae.safetensors"; with a slash at its end for a folder
  WeightsReport report;  // nothing in it where `error` says why
  std::string error;     // empty: none
};

// One row each under a line of headings, grouped by the folders that they lie in, and below it what is wrong with it.
// What is no single word wider than `columns` is no wider.
std::string WeightsTable(const std::vector<ListedWeights>& listed, size_t columns);

// docs/json_output.md is the contract.
nlohmann::ordered_json WeightsJson(const WeightsReport& report);

}  // namespace diptych
