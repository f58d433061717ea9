#include "common/receipt/parameters_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/prompt/conversation.h"

namespace diptych {
namespace {

constexpr size_t kModelHashDigits = 10;  // A1111's short hash

// A1111's rule: a value that would not end at the next comma is a JSON string.
std::string Quoted(const std::string& value) {
  return value.find_first_of(",:\n") == std::string::npos ? value : nlohmann::json(value).dump();
}

// In A1111's words. A receipt names the spacing first: "karras, sigma_min 0.1".
std::string ScheduleType(const Receipt& receipt) {
  const std::string spacing = receipt.schedule.substr(0, receipt.schedule.find(','));
  if (spacing == "karras") return "Karras";
  if (spacing == "exponential") return "Exponential";
  if (spacing == "beta") return "Beta";
  return "Simple";
}

// A1111 writes it for a picture from a picture.
std::string Strength(const Receipt& receipt) {
  if (receipt.source.empty()) return "";
  std::ostringstream text;
  text << ", Denoising strength: " << receipt.strength.value_or(1);
  return text.str();
}

// A PNG text cannot hold NUL, which a prompt may.
std::string WithoutNul(std::string text) {
  std::erase(text, '\0');
  return text;
}

}  // namespace

std::string ParametersText(const Receipt& receipt) {
  std::ostringstream text;
  text << (receipt.prompt ? ShownPrompt(*receipt.prompt) : "")
       << "\nNegative prompt: " << (receipt.negative ? ShownPrompt(*receipt.negative) : "")
       << "\nSteps: " << receipt.steps << ", Sampler: Euler, Schedule type: " << ScheduleType(receipt)
       << ", CFG scale: " << receipt.guidance_scale + 1 << ", Shift: " << receipt.shift.value_or(0)
       << ", Seed: " << receipt.seed << Strength(receipt) << ", Size: " << receipt.width << "x" << receipt.height
       << ", Model hash: " << receipt.transformer_fingerprint.substr(0, kModelHashDigits)
       << ", Version: " << Quoted("diptych " + receipt.program_version);
  return WithoutNul(text.str());
}

}  // namespace diptych
