// The parts of a model that have weights.
#pragma once

#include <string_view>

namespace diptych {

enum class ModelPart { kTransformer, kVae, kTextEncoder };

// For messages.
inline std::string_view PartName(ModelPart part) {
  switch (part) {
    case ModelPart::kTransformer:
      return "transformer";
    case ModelPart::kVae:
      return "VAE";
    case ModelPart::kTextEncoder:
      break;
  }
  return "text encoder";
}

// Its folder in a checkpoint of diffusers'.
inline std::string_view PartFolder(ModelPart part) {
  switch (part) {
    case ModelPart::kTransformer:
      return "transformer";
    case ModelPart::kVae:
      return "vae";
    case ModelPart::kTextEncoder:
      break;
  }
  return "text_encoder";
}

}  // namespace diptych
