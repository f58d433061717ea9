// The text encoder: tokenizer and Qwen3 model of one checkpoint behind PromptEncoder.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/memory/memory_facts.h"
#include "encoder_node/engine/prompt_encoder.h"

namespace diptych {

struct TextEncoderOptions {
  std::string text_encoder_path;  // folder with config.json and weights, or a file of weights
  std::string tokenizer_path;     // folder, or a GGUF file that carries one
  std::string config_path =
      {};  // folder of a whole model, for a file without a config.json beside it; empty: there is none
  std::string device = "auto";       // auto, cpu, cuda
  std::string torch_dtype = "auto";  // auto (bfloat16), bfloat16, float32
  int threads = 0;                   // CPU threads; 0: physical cores
  bool ignore_memory = false;        // load whether it fits or not
  std::string fingerprint_cache = {};  // folder; empty: fingerprints are not remembered
  std::function<MemoryFacts()> read_memory = [] { return ReadMemoryFacts(); };
};

// Reads the whole checkpoint once (its fingerprint covers every byte), unless the fingerprint is remembered. Throws
// Error naming file and tensor or key, and Error(kResourceExhausted) with what is needed and what is available, before
// it takes any of it.
std::unique_ptr<PromptEncoder> LoadTextEncoder(const TextEncoderOptions& options);

}  // namespace diptych
