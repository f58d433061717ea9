// Whether a repeated picture is the picture.
#pragma once

#include <string>
#include <vector>

#include "common/receipt/receipt.h"
#include "coordinator/client/job.h"

namespace diptych {

// One line for each model of the renderer (or its number format, or the tiling of its VAE) that is not the one of the
// receipt. Fingerprints are shortened. A receipt that does not know its tiling fits every one.
std::vector<std::string> DifferentModels(const Receipt& receipt, const RendererDescription& renderer,
                                         bool needs_encoder);

// What a picture's receipt says otherwise than the job that it is the picture of: "seed", "prompt", ...; "receipt" for
// one that cannot be read. Nothing of a picture without one.
std::vector<std::string> NotAsAsked(const std::string& png, const JobView& job);

// The names of the fields that differ: "seed", "transformer_fingerprint"; empty when the receipts are equal.
std::vector<std::string> DifferentFields(const Receipt& a, const Receipt& b);

}  // namespace diptych
