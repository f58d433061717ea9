#include "render_node/service/receipt_finisher.h"

#include <string>

#include "common/conditioning/conditioning_hash.h"
#include "common/image/png.h"
#include "common/version/version.h"

namespace diptych {
Receipt ReceiptOf(const FinishRequest& request) {
  const RenderParameters& parameters = request.parameters;
  const ConditioningHeader& positive = request.positive.header;
  Receipt receipt;
  receipt.program_version = kVersion;
  static_cast<PictureSpec&>(receipt) = request.spec;
  receipt.negative.reset();
  receipt.width = parameters.width;
  receipt.height = parameters.height;
  receipt.seed = parameters.seed;
  receipt.steps = parameters.steps;
  receipt.shift = parameters.shift;
  receipt.schedule = ToText(request.renderer.schedule);
  receipt.guidance_scale = parameters.guidance_scale;
  receipt.cfg_normalization = parameters.cfg_normalization;
  receipt.cfg_truncation = parameters.cfg_truncation;
  receipt.layer = positive.layer;
  receipt.long_prompt_mode = positive.long_prompt_mode;
  receipt.dtype = request.renderer.dtype;
  receipt.tiles = request.renderer.tiling.For(parameters.width, parameters.height);
  receipt.conditioning_dtype = StateDtypeName(positive.dtype);
  receipt.transformer_fingerprint = request.renderer.transformer_fingerprint;
  receipt.vae_fingerprint = request.renderer.vae_fingerprint;
  receipt.text_encoder_fingerprint = positive.model_fingerprint;
  receipt.tokenizer_fingerprint = positive.tokenizer_fingerprint;
  receipt.conditioning_hash = ConditioningHash(request.positive);
  if (request.negative != nullptr) {
    receipt.negative = request.spec.negative;
    receipt.negative_conditioning_hash = ConditioningHash(*request.negative);
  }
  return receipt;
}

std::vector<uint8_t> FinishWithReceipt(const FinishRequest& request) {
  const std::string png = EncodePng(request.picture, ReceiptPngText(ReceiptOf(request)), request.pause);
  return {png.begin(), png.end()};
}

}  // namespace diptych
