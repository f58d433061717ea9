// The receipt of a picture: everything that determines it and nothing else. No times, ids or hosts, so that equal
// inputs give equal files; it travels in the PNG's metadata, and a picture can be repeated from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/image/decode_tiles.h"
#include "common/picture/picture_spec.h"

namespace diptych {

// The picture as it was painted: shift is set, and the negative prompt where guidance is on and its prompt is known. No
// prompt: the conditioning was uploaded without one; a repeat needs the embeddings whose hash is conditioning_hash. An
// upload that states its prompt leaves no other trace, so its picture equals the one of an encoder that was asked.
struct Receipt : PictureSpec {
  // Larger when a field is added that changes the picture. 1: without `tiles`, 2: without `schedule`, 3: without a
  // source. Older schemas are read, and a receipt is written in the oldest that can say it.
  static constexpr uint64_t kSchema = 4;

  std::string program_version;
  std::string schedule;                         // of the noise levels, in words; empty: Z-Image-Turbo's own
  std::string dtype;                            // the renderer's: "bfloat16" or "float32"
  std::string conditioning_dtype = "bfloat16";  // of the encoder's rows, likewise
  std::optional<DecodeTiles> tiles;             // how the VAE decoded it; unset: not known (schema 1)
  // 64 hex digits each; those of the encoder are empty for embeddings of unknown origin.
  std::string transformer_fingerprint;
  std::string vae_fingerprint;
  std::string text_encoder_fingerprint;
  std::string tokenizer_fingerprint;
  std::string conditioning_hash;
  std::string negative_conditioning_hash;  // empty when guidance_scale is 0

  bool operator==(const Receipt&) const = default;
};

// One line of JSON with a fixed key order; numbers read back exactly. Of the oldest schema that can say it.
std::string ToJson(const Receipt& receipt);

// Throws Error(kInvalidArgument) naming the field for JSON that is not a receipt, a field that is missing, unknown, of
// the wrong type or out of range, and a schema that this version does not know.
Receipt ReceiptFromJson(std::string_view json);

// The texts that a picture carries: the receipt under "diptych", and under "parameters" the lines that other programs
// show.
inline constexpr std::string_view kReceiptKeyword = "diptych";
std::vector<std::pair<std::string, std::string>> ReceiptPngText(const Receipt& receipt);

// The receipt among the texts of a picture: the first that is one. Throws Error(kNotFound) when there is none, else
// like ReceiptFromJson.
Receipt FindReceipt(const std::vector<std::pair<std::string, std::string>>& texts);

}  // namespace diptych
