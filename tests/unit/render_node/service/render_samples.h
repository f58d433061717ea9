// A small renderer's facts and jobs that it takes, for the tests of this folder.
#pragma once

#include <string>
#include <vector>

#include "common/wire/conditioning_codec.h"
#include "diptych/v1/render.pb.h"
#include "render_node/pipeline/picture_renderer.h"

namespace diptych {

inline RendererFacts SampleFacts() {
  RendererFacts facts;
  facts.transformer_fingerprint = std::string(64, 'a');
  facts.vae_fingerprint = std::string(64, 'b');
  facts.cap_feat_dim = 8;
  facts.row_limit = 16;
  facts.max_side = 1024;
  facts.default_shift = 2.25;
  facts.dtype = "float32";
  facts.device = "cpu";
  facts.threads = 2;
  facts.tiling = {{512, 64}, 768};
  return facts;
}

inline v1::JobSpec SampleSpec(const std::string& words = "a tree") {
  v1::JobSpec spec;
  spec.mutable_prompt()->set_user(words);
  spec.set_width(32);
  spec.set_height(16);
  spec.set_steps(3);
  spec.set_seed(7);
  return spec;
}

inline Conditioning SampleConditioning(int64_t rows, uint8_t fill) {
  Conditioning block;
  block.header.model_fingerprint = std::string(64, 'c');
  block.header.tokenizer_fingerprint = std::string(64, 'd');
  block.header.input_sha256 = std::string(64, 'e');
  block.header.rows = block.header.token_count = rows;
  block.header.width = SampleFacts().cap_feat_dim;
  block.header.dtype = StateDtype::kFloat32;
  block.bytes.assign(static_cast<size_t>(block.header.ByteCount()), fill);
  return block;
}

inline std::vector<v1::ConditioningFrame> FramesOf(const Conditioning& block) {
  std::vector<v1::ConditioningFrame> frames;
  const absl::Status sent = SendConditioning(block, [&](const v1::ConditioningFrame& frame) {
    frames.push_back(frame);
    return true;
  });
  if (!sent.ok()) frames.clear();
  return frames;
}

inline v1::SubmitRequest SpecMessage(const v1::JobSpec& spec) {
  v1::SubmitRequest request;
  *request.mutable_spec() = spec;
  return request;
}

inline std::vector<v1::SubmitRequest> PositiveMessages(const Conditioning& block) {
  std::vector<v1::SubmitRequest> messages;
  for (const v1::ConditioningFrame& frame : FramesOf(block)) *messages.emplace_back().mutable_conditioning() = frame;
  return messages;
}

inline std::vector<v1::SubmitRequest> NegativeMessages(const Conditioning& block) {
  std::vector<v1::SubmitRequest> messages;
  for (const v1::ConditioningFrame& frame : FramesOf(block)) {
    *messages.emplace_back().mutable_negative_conditioning() = frame;
  }
  return messages;
}

}  // namespace diptych
