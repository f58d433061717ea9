#include <sstream>

#include "common/error/error.h"
#include "common/receipt/receipt.h"

namespace diptych {
namespace {

// The lines that image browsers and ComfyUI's and Automatic1111's users know.
std::string ParametersText(const Receipt& receipt) {
  std::ostringstream text;
  if (receipt.prompt) text << receipt.prompt->user << "\n";
  if (receipt.negative && !receipt.negative->user.empty())
    text << "Negative prompt: " << receipt.negative->user << "\n";
  text << "Steps: " << receipt.steps << ", Sampler: Euler, CFG scale: " << receipt.guidance_scale
       << ", Seed: " << receipt.seed << ", Size: " << receipt.width << "x" << receipt.height
       << ", Shift: " << receipt.shift << ", Model hash: " << receipt.transformer_fingerprint.substr(0, 10)
       << ", Version: diptych " << receipt.program_version;
  return text.str();
}

// A PNG text cannot hold NUL, which a prompt may.
std::string WithoutNul(std::string text) {
  std::erase(text, '\0');
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> ReceiptPngText(const Receipt& receipt) {
  return {{std::string(kReceiptKeyword), ToJson(receipt)}, {"parameters", WithoutNul(ParametersText(receipt))}};
}

Receipt FindReceipt(const std::vector<std::pair<std::string, std::string>>& png_text) {
  for (const auto& [keyword, text] : png_text) {
    if (keyword == kReceiptKeyword) return ReceiptFromJson(text);
  }
  throw Error(ErrorCode::kNotFound, "the picture carries no Diptych receipt (a PNG text called \"diptych\")");
}

}  // namespace diptych
