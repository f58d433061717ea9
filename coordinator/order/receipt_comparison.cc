#include "coordinator/order/receipt_comparison.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/error/error.h"
#include "common/image/png.h"

namespace diptych {
namespace {

void Compare(const std::string& what, const std::string& wanted, const std::string& found,
             std::vector<std::string>& lines) {
  if (wanted == found || wanted.empty()) return;
  lines.push_back("the renderer's " + what + " is " + found.substr(0, 12) + ", the picture was made with " +
                  wanted.substr(0, 12));
}

std::string TilesText(const DecodeTiles& tiles) {
  if (tiles.size == 0) return "as a whole";
  return "in tiles of " + std::to_string(tiles.size) + " px with an overlap of " + std::to_string(tiles.overlap) +
         " px";
}

void CompareTiles(const Receipt& receipt, const RendererDescription& renderer, std::vector<std::string>& lines) {
  const DecodeTiles found = renderer.tiling.For(receipt.width, receipt.height);
  if (!receipt.tiles || *receipt.tiles == found) return;
  lines.push_back("the renderer's VAE decodes a picture of this size " + TilesText(found) +
                  ", the picture was decoded " + TilesText(*receipt.tiles) + "; its bytes may differ");
}

void CompareSchedules(const std::string& wanted, const std::string& found, std::vector<std::string>& lines) {
  if (wanted == found) return;
  const auto text = [](const std::string& schedule) {
    return schedule.empty() ? std::string("Z-Image-Turbo's own") : "\"" + schedule + "\"";
  };
  lines.push_back("the renderer's noise schedule is " + text(found) + ", the picture was made with " + text(wanted));
}

// Receipts of schema 1 do not say how the picture was decoded; that is no difference.
void LeaveOutWhatOnlyOneKnows(const Receipt& a, const Receipt& b, nlohmann::ordered_json& json) {
  json.erase("schema");
  if (a.tiles && b.tiles) return;
  json.erase("tile_size");
  json.erase("tile_overlap");
}

}  // namespace

std::vector<std::string> DifferentModels(const Receipt& receipt, const RendererDescription& renderer,
                                         bool needs_encoder) {
  std::vector<std::string> lines;
  Compare("transformer", receipt.transformer_fingerprint, renderer.transformer_fingerprint, lines);
  Compare("VAE", receipt.vae_fingerprint, renderer.vae_fingerprint, lines);
  Compare("number format", receipt.dtype, renderer.dtype, lines);
  CompareTiles(receipt, renderer, lines);
  CompareSchedules(receipt.schedule, renderer.schedule, lines);
  const std::string& wanted = receipt.text_encoder_fingerprint;
  const auto is_same = [&](const EncoderReport& encoder) { return encoder.model_fingerprint == wanted; };
  const auto is_known = [](const EncoderReport& encoder) { return encoder.reachable; };
  const auto known = std::find_if(renderer.encoders.begin(), renderer.encoders.end(), is_known);
  if (needs_encoder && known != renderer.encoders.end() &&
      std::none_of(renderer.encoders.begin(), renderer.encoders.end(), is_same)) {
    Compare("text encoder", wanted, known->model_fingerprint, lines);
  }
  return lines;
}

std::vector<std::string> NotAsAsked(const std::string& png, const JobView& job) {
  std::vector<std::string> names;
  try {
    const Receipt receipt = FindReceipt(ReadPngText(png));
    const auto compare = [&](const char* name, bool same) {
      if (!same) names.emplace_back(name);
    };
    if (receipt.prompt) {
      const PromptParts& prompt = *receipt.prompt;
      compare("prompt", (prompt.conversation_json.empty() ? prompt.user : prompt.conversation_json) == job.prompt);
    }
    compare("seed", receipt.seed == job.seed);
    compare("width", receipt.width == job.width);
    compare("height", receipt.height == job.height);
    compare("steps", receipt.Evaluations() == job.steps);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) names.emplace_back("receipt");
  }
  return names;
}

std::vector<std::string> DifferentFields(const Receipt& a, const Receipt& b) {
  auto left = nlohmann::ordered_json::parse(ToJson(a));
  auto right = nlohmann::ordered_json::parse(ToJson(b));
  LeaveOutWhatOnlyOneKnows(a, b, left);
  LeaveOutWhatOnlyOneKnows(a, b, right);
  std::vector<std::string> names;
  for (const auto& [key, value] : left.items()) {
    if (!right.contains(key) || right[key] != value) names.push_back(key);
  }
  for (const auto& [key, value] : right.items()) {
    if (!left.contains(key)) names.push_back(key);
  }
  return names;
}

}  // namespace diptych
