// A text encoder without a model: rows that depend on the text, after a stated time.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "common/digest/sha256.h"
#include "encoder_node/engine/prompt_encoder.h"

namespace diptych {

class FakePromptEncoder final : public PromptEncoder {
 public:
  FakePromptEncoder() {
    facts_.model_fingerprint = std::string(64, 'a');
    facts_.tokenizer_fingerprint = std::string(64, 'b');
    facts_.width = 48;
    facts_.layers = 4;
    facts_.threads = 2;
    facts_.device = "cpu";
  }

  std::atomic<std::chrono::milliseconds> takes{std::chrono::milliseconds(0)};
  std::atomic<bool> fails = false;  // Encode throws an internal error
  std::atomic<int> begun = 0;
  std::atomic<int> cancelled = 0;
  std::atomic<int> working = 0;
  std::atomic<int> most_at_once = 0;

  std::atomic<bool> weights_changed = false;

  const EncoderFacts& facts() const override { return facts_; }
  void ThrowIfChanged() override {
    if (weights_changed) throw Error(ErrorCode::kUnavailable, "w.safetensors: was changed while in use");
  }

  Conditioning Encode(const EncodeInput& input, const EncodeParameters& parameters, const Pause& pause) override {
    const std::string& text = input.text;
    ++begun;
    most_at_once = std::max(most_at_once.load(), ++working);
    const auto end = std::chrono::steady_clock::now() + takes.load();
    try {
      while (std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        --working;
        if (pause) pause();
        ++working;
      }
    } catch (const Error&) {
      ++cancelled;
      throw;
    }
    --working;
    if (fails) throw Error(ErrorCode::kInternal, "the weights caught fire");
    Conditioning block;
    block.header.model_fingerprint = facts_.model_fingerprint;
    block.header.tokenizer_fingerprint = facts_.tokenizer_fingerprint;
    block.header.input_sha256 = Sha256Hex(text);
    block.header.token_count = static_cast<int64_t>(text.size());
    block.header.layer = parameters.layer;
    block.header.long_prompt_mode = parameters.long_prompt_mode;
    block.header.rows =
        parameters.row_limit > 0 ? std::min(block.header.token_count, parameters.row_limit) : block.header.token_count;
    block.header.width = facts_.width;
    block.bytes.resize(static_cast<size_t>(block.header.ByteCount()));
    for (size_t i = 0; i < block.bytes.size(); ++i) block.bytes[i] = (text[i % text.size()] + i / 7) & 0xBF;  // finite
    return block;
  }

  std::vector<int64_t> TokenIds(const EncodeInput& input) const override {
    return {input.text.begin(), input.text.end()};
  }

 private:
  EncoderFacts facts_;
};

}  // namespace diptych
