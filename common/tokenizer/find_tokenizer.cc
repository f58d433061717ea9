#include "common/tokenizer/find_tokenizer.h"

#include <system_error>
#include <vector>

#include "common/source_files/file_kind.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// A link that points nowhere counts: it says where the tokenizer should be, and reading it says what is wrong.
bool IsThere(const fs::path& path) {
  std::error_code ignored;
  return IsFile(path) || fs::is_symlink(path, ignored);
}

bool HoldsTokenizer(const fs::path& folder) {
  return IsThere(folder / "tokenizer.json") || (IsThere(folder / "vocab.json") && IsThere(folder / "merges.txt"));
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
  if (IsGguf(text_encoder_path)) return text_encoder_path;
  return model_path.empty() ? places.front() : fs::path(model_path) / "tokenizer";
}

}  // namespace diptych
