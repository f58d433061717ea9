// Qwen3 text model: token ids in, hidden states out.  Source: transformers modeling_qwen3.py; goldens of toy models in
// tests/parity/data.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/concurrency/pause.h"
#include "common/nn/tap.h"
#include "encoder_node/qwen3/config.h"

namespace diptych {
class WeightView;
}

namespace diptych::qwen3 {

// Weights are immutable after construction; HiddenState may be called from several threads.
class Model {
 public:
  // `w` is the root of the checkpoint; names with and without the prefix "model." are accepted. Throws Error naming the
  // tensor when one is missing or of another shape.
  Model(const WeightView& w, const Config& config);
  ~Model();

  const Config& config() const { return config_; }

  // The index into the list of hidden states that `layer` means: 0 the embeddings, i the output of layer i,
  // num_hidden_layers the last layer's output after the final norm. Accepts -(n + 1) .. -1. Throws
  // Error(kInvalidArgument) naming the range.
  int64_t StateIndex(int64_t layer) const;

  // ids [T], each below vocab_size, T >= 1 -> [T, hidden_size] in the compute dtype, on the model's device. Runs the
  // layers up to the one asked and none beyond. Taps: "hidden.0" .. "hidden.n". Pauses before each layer and inside
  // (common/nn/pieces.h).
  at::Tensor HiddenState(const std::vector<int64_t>& ids, int64_t layer, const Pause& pause = {},
                         const Tap& tap = {}) const;

 private:
  struct Network;
  const Config config_;
  const std::unique_ptr<const Network> network_;
};

}  // namespace diptych::qwen3
