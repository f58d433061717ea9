// Conditioning: what the encoder says to the renderer. Hidden states of a prompt, one row a token, with the facts that
// prove where they come from. Plain bytes, so that services, stores and files handle it without libtorch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace diptych {

// How the values of a row are stored. Never narrowed on the way: bf16 as computed, or fp32.
enum class StateDtype { kBFloat16, kFloat32 };
size_t BytesPerValue(StateDtype dtype);             // 2 or 4
std::string_view StateDtypeName(StateDtype dtype);  // "bfloat16", "float32"
StateDtype ParseStateDtype(std::string_view name);  // throws Error(kInvalidArgument) naming the two choices

// What happens to more rows than the DiT takes (long_prompt.h says how).
enum class LongPromptMode { kTruncate, kInterpolate, kPool, kAttentionPool };
std::string_view LongPromptModeName(LongPromptMode mode);   // "truncate", "interpolate", "pool", "attention_pool"
LongPromptMode ParseLongPromptMode(std::string_view name);  // throws Error(kInvalidArgument) naming the four choices

// The facts about a block of hidden states. Two blocks with equal headers hold equal values up to the encoder's
// rounding.
struct ConditioningHeader {
  std::string model_fingerprint;      // of the text encoder's weights and configuration, 64 hex digits
  std::string tokenizer_fingerprint;  // of the tokenizer's files, 64 hex digits
  // EncodeInputHash of what was encoded, 64 hex digits. On the wire and in files its name is text_sha256.
  std::string input_sha256;
  int64_t token_count = 0;  // tokens of the input, before a long-prompt mode acts
  int32_t layer = -2;       // index into the hidden states, negative from the end
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;
  StateDtype dtype = StateDtype::kBFloat16;
  int64_t rows = 0;   // rows that follow; token_count unless a long-prompt mode acted
  int64_t width = 0;  // values a row, the encoder's hidden_size

  int64_t ByteCount() const { return rows * width * static_cast<int64_t>(BytesPerValue(dtype)); }
  bool operator==(const ConditioningHeader&) const = default;
};

struct Conditioning {
  ConditioningHeader header;
  std::vector<uint8_t> bytes;  // [rows, width] row-major, little-endian; size() == header.ByteCount()
};

// Throws Error(kInvalidArgument) unless rows and width are positive, the fingerprints are 64 hex digits or empty
// (embeddings of unknown origin), bytes.size() == ByteCount() and every value is finite.
void CheckConditioning(const Conditioning& conditioning);

}  // namespace diptych
