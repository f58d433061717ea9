#include "common/tokenizer/find_tokenizer.h"

#include <system_error>
#include <vector>

namespace diptych {
namespace {

namespace fs = std::filesystem;

bool HoldsTokenizer(const fs::path& folder) {
  return IsFile(folder / "tokenizer.json") || (IsFile(folder / "vocab.json") && IsFile(folder / "merges.txt"));
}

}  // namespace

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

fs::path FindTokenizer(const std::string& model_path, const std::string& text_encoder_path) {
  std::vector<fs::path> places;
  if (!text_encoder_path.empty()) {
    const fs::path weights(text_encoder_path);
    places.push_back(IsFile(weights) ? weights.parent_path() : weights);
  }
  if (!model_path.empty()) {
    const fs::path model(model_path);
    places.insert(places.end(), {model / "tokenizer", model / "text_encoder", model});
  }
  for (const fs::path& place : places) {
    if (HoldsTokenizer(place)) return place;
  }
  return model_path.empty() ? places.front() : fs::path(model_path) / "tokenizer";
}

}  // namespace diptych
