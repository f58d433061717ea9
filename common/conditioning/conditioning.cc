#include "common/conditioning/conditioning.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/error/error.h"
#include "common/foreign_text/foreign_text.h"

namespace diptych {
namespace {

constexpr std::array<std::pair<LongPromptMode, std::string_view>, 4> kLongPromptModes = {{
    {LongPromptMode::kTruncate, "truncate"},
    {LongPromptMode::kInterpolate, "interpolate"},
    {LongPromptMode::kPool, "pool"},
    {LongPromptMode::kAttentionPool, "attention_pool"},
}};

void CheckDigest(const char* what, const std::string& digest) {
  const bool hex = std::all_of(digest.begin(), digest.end(),
                               [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!digest.empty() && (digest.size() != 64 || !hex)) {
    throw Error(ErrorCode::kInvalidArgument,
                std::string("conditioning: ") + what + " must be 64 lower-case hexadecimal digits");
  }
}

// The index of the first value whose exponent bits are all set (infinite or not a number), or -1.
template <typename Bits>
int64_t FirstNotFinite(const std::vector<uint8_t>& bytes, Bits exponent) {
  for (size_t at = 0; at + sizeof(Bits) <= bytes.size(); at += sizeof(Bits)) {
    Bits value;
    std::memcpy(&value, &bytes[at], sizeof(Bits));
    if ((value & exponent) == exponent) return static_cast<int64_t>(at / sizeof(Bits));
  }
  return -1;
}

void CheckFinite(const Conditioning& conditioning) {
  const int64_t found = conditioning.header.dtype == StateDtype::kBFloat16
                            ? FirstNotFinite<uint16_t>(conditioning.bytes, 0x7F80)
                            : FirstNotFinite<uint32_t>(conditioning.bytes, 0x7F800000);
  if (found < 0) return;
  throw Error(ErrorCode::kInvalidArgument, "conditioning: value " + std::to_string(found % conditioning.header.width) +
                                               " of row " + std::to_string(found / conditioning.header.width) +
                                               " is infinite or not a number; nothing can be painted from it");
}

}  // namespace

size_t BytesPerValue(StateDtype dtype) { return dtype == StateDtype::kBFloat16 ? 2 : 4; }

std::string_view StateDtypeName(StateDtype dtype) { return dtype == StateDtype::kBFloat16 ? "bfloat16" : "float32"; }

StateDtype ParseStateDtype(std::string_view name) {
  if (name == "bfloat16") return StateDtype::kBFloat16;
  if (name == "float32") return StateDtype::kFloat32;
  throw Error(ErrorCode::kInvalidArgument,
              "conditioning dtype " + QuotedForeignText(name) + " is not one of bfloat16, float32");
}

std::string_view LongPromptModeName(LongPromptMode mode) {
  for (const auto& [value, name] : kLongPromptModes) {
    if (value == mode) return name;
  }
  throw Error(ErrorCode::kInternal, "long-prompt mode out of range");
}

LongPromptMode ParseLongPromptMode(std::string_view name) {
  for (const auto& [value, known] : kLongPromptModes) {
    if (known == name) return value;
  }
  throw Error(ErrorCode::kInvalidArgument, "long-prompt mode " + QuotedForeignText(name) +
                                               " is not one of truncate, interpolate, pool, attention_pool");
}

void CheckConditioning(const Conditioning& conditioning) {
  const ConditioningHeader& header = conditioning.header;
  if (header.rows <= 0 || header.width <= 0) {
    throw Error(ErrorCode::kInvalidArgument, "conditioning: rows and width must be positive, got " +
                                                 std::to_string(header.rows) + " x " + std::to_string(header.width));
  }
  CheckDigest("model_fingerprint", header.model_fingerprint);
  CheckDigest("tokenizer_fingerprint", header.tokenizer_fingerprint);
  CheckDigest("text_sha256", header.input_sha256);
  if (static_cast<int64_t>(conditioning.bytes.size()) != header.ByteCount()) {
    throw Error(ErrorCode::kInvalidArgument, "conditioning: " + std::to_string(conditioning.bytes.size()) +
                                                 " bytes, the header states " + std::to_string(header.ByteCount()));
  }
  CheckFinite(conditioning);
}

}  // namespace diptych
