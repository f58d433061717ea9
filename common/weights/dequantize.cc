#include "common/weights/dequantize.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr int kSuper = 256;  // elements of a block of the K and IQ4_XS formats

// What the nibbles of IQ4_NL and IQ4_XS stand for: steps that are finer around zero.
constexpr float kNonLinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

uint32_t LowNibble(uint8_t byte) { return byte & 15u; }
uint32_t HighNibble(uint8_t byte) { return byte >> 4; }

uint32_t Two(const uint8_t* bytes) { return bytes[0] | static_cast<uint32_t>(bytes[1]) << 8; }
uint32_t Four(const uint8_t* bytes) { return Two(bytes) | Two(bytes + 2) << 16; }

// A number from 0, minus an offset, as float.
float Float(uint32_t number, int32_t offset = 0) { return static_cast<float>(static_cast<int32_t>(number) - offset); }

float Signed(uint8_t byte) { return static_cast<float>(static_cast<int8_t>(byte)); }

// IEEE binary16: sign, 5 bits of exponent, 10 of fraction.
float Half(const uint8_t* bytes) {
  const uint32_t bits = Two(bytes);
  const uint32_t sign = (bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 31;
  const uint32_t fraction = bits & 1023;
  if (exponent == 0) return std::bit_cast<float>(std::bit_cast<uint32_t>(Float(fraction) * 0x1p-24f) | sign);
  const uint32_t wide_exponent = exponent == 31 ? 255 : exponent - 15 + 127;  // 31: infinity, not a number
  return std::bit_cast<float>(sign | wide_exponent << 23 | fraction << 13);
}

float Bfloat(const uint8_t* bytes) { return std::bit_cast<float>(Two(bytes) << 16); }

template <typename Number>
float Converted(const uint8_t* bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof(number));
  return static_cast<float>(number);
}

// One function for each format: the bytes of one block to its values. The layout stands above it, fields in order.

// d: half, q: 32 signed bytes. d q
void DecodeQ8_0(const uint8_t* block, float* out) {
  const float d = Half(block);
  for (int i = 0; i < 32; ++i) out[i] = d * Signed(block[2 + i]);
}

// d: half, q: 16 bytes, whose low nibbles are elements 0 to 15 and whose high ones are 16 to 31. d (q - 8)
void DecodeQ4_0(const uint8_t* block, float* out) {
  const float d = Half(block);
  const uint8_t* q = block + 2;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * Float(LowNibble(q[i]), 8);
    out[i + 16] = d * Float(HighNibble(q[i]), 8);
  }
}

// d, m: half, q as in Q4_0. d q + m
void DecodeQ4_1(const uint8_t* block, float* out) {
  const float d = Half(block);
  const float m = Half(block + 2);
  const uint8_t* q = block + 4;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * Float(LowNibble(q[i])) + m;
    out[i + 16] = d * Float(HighNibble(q[i])) + m;
  }
}

// d: half, high: 32 bits, the fifth of each element, q as in Q4_0. d (q - 16)
void DecodeQ5_0(const uint8_t* block, float* out) {
  const float d = Half(block);
  const uint32_t high = Four(block + 2);
  const uint8_t* q = block + 6;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * Float(LowNibble(q[i]) | (high >> i & 1) << 4, 16);
    out[i + 16] = d * Float(HighNibble(q[i]) | (high >> (i + 16) & 1) << 4, 16);
  }
}

// d, m: half, high and q as in Q5_0. d q + m
void DecodeQ5_1(const uint8_t* block, float* out) {
  const float d = Half(block);
  const float m = Half(block + 2);
  const uint32_t high = Four(block + 4);
  const uint8_t* q = block + 8;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * Float(LowNibble(q[i]) | (high >> i & 1) << 4) + m;
    out[i + 16] = d * Float(HighNibble(q[i]) | (high >> (i + 16) & 1) << 4) + m;
  }
}

// Where element e has its two bits, in Q2_K and Q3_K: each 128 elements are 32 bytes, 32 of them at each shift.
uint32_t TwoBits(const uint8_t* q, int e) { return q[e / 128 * 32 + e % 32] >> (e % 128 / 32 * 2) & 3u; }

// scales: 16 bytes, one for 16 elements: its scale in the low nibble, its minimum in the high one; q: 64 bytes of two
// bits; d, dmin: half. d scale q - dmin minimum
void DecodeQ2_K(const uint8_t* block, float* out) {
  const uint8_t* scales = block;
  const uint8_t* q = block + 16;
  const float d = Half(block + 80);
  const float dmin = Half(block + 82);
  for (int group = 0; group < kSuper / 16; ++group) {
    const float scale = d * Float(LowNibble(scales[group]));
    const float minimum = dmin * Float(HighNibble(scales[group]));
    for (int e = group * 16; e < group * 16 + 16; ++e) out[e] = scale * Float(TwoBits(q, e)) - minimum;
  }
}

// high: 32 bytes, bit b of byte l for element 32 b + l; q: 64 bytes of two bits; scales: 12 bytes; d: half. A scale of
// six bits for 16 elements: its low four are the low nibbles of bytes 0 to 7, then the high ones; its high two are in
// bytes 8 to 11, four scales at each shift. d (scale - 32) (q - 4), or q itself where the high bit is set
void DecodeQ3_K(const uint8_t* block, float* out) {
  const uint8_t* high = block;
  const uint8_t* q = block + 32;
  const uint8_t* scales = block + 96;
  const float d = Half(block + 108);
  for (int group = 0; group < kSuper / 16; ++group) {
    const uint32_t low_four = group < 8 ? LowNibble(scales[group]) : HighNibble(scales[group - 8]);
    const uint32_t high_two = scales[8 + group % 4] >> (group / 4 * 2) & 3u;
    const float scale = d * Float(low_four | high_two << 4, 32);
    for (int e = group * 16; e < group * 16 + 16; ++e) {
      const bool is_high = (high[e % 32] >> (e / 32) & 1) != 0;
      out[e] = scale * Float(TwoBits(q, e), is_high ? 0 : 4);
    }
  }
}

// Scale and minimum of 32 elements, six bits each, in the 12 bytes of Q4_K and Q5_K: those of groups 0 to 3 are the low
// six bits of bytes 0 to 3 and 4 to 7; of groups 4 to 7 four bits are in a nibble of bytes 8 to 11, two above the
// others.
struct ScaleAndMinimum {
  uint32_t scale;
  uint32_t minimum;
};
ScaleAndMinimum Unpack(const uint8_t* packed, int group) {
  if (group < 4) return {packed[group] & 63u, packed[group + 4] & 63u};
  return {LowNibble(packed[group + 4]) | static_cast<uint32_t>(packed[group - 4] >> 6) << 4,
          HighNibble(packed[group + 4]) | static_cast<uint32_t>(packed[group] >> 6) << 4};
}

// d, dmin: half, 12 bytes of scales and minima, q: 128 bytes: each 32 are a group in their low nibbles and the next one
// in the high ones. d scale q - dmin minimum
void DecodeQ4_K(const uint8_t* block, float* out) {
  const float d = Half(block);
  const float dmin = Half(block + 2);
  for (int group = 0; group < kSuper / 32; ++group) {
    const ScaleAndMinimum packed = Unpack(block + 4, group);
    const float scale = d * Float(packed.scale);
    const float minimum = dmin * Float(packed.minimum);
    const uint8_t* q = block + 16 + group / 2 * 32;
    for (int l = 0; l < 32; ++l) {
      out[group * 32 + l] = scale * Float(group % 2 == 0 ? LowNibble(q[l]) : HighNibble(q[l])) - minimum;
    }
  }
}

// As Q4_K, with 32 bytes before q: bit g of byte l is the fifth of element 32 g + l.
void DecodeQ5_K(const uint8_t* block, float* out) {
  const float d = Half(block);
  const float dmin = Half(block + 2);
  const uint8_t* high = block + 16;
  for (int group = 0; group < kSuper / 32; ++group) {
    const ScaleAndMinimum packed = Unpack(block + 4, group);
    const float scale = d * Float(packed.scale);
    const float minimum = dmin * Float(packed.minimum);
    const uint8_t* q = block + 48 + group / 2 * 32;
    for (int l = 0; l < 32; ++l) {
      const uint32_t low = group % 2 == 0 ? LowNibble(q[l]) : HighNibble(q[l]);
      out[group * 32 + l] = scale * Float(low | (high[l] >> group & 1u) << 4) - minimum;
    }
  }
}

// low: 128 bytes, high: 64 bytes, scales: 16 signed bytes, one for 16 elements, d: half. Each 128 elements are 64 bytes
// of low, 64 elements in their low nibbles and 64 in the high ones, and 32 bytes of high, 32 elements at each shift.
// d scale (q - 32)
void DecodeQ6_K(const uint8_t* block, float* out) {
  const uint8_t* low = block;
  const uint8_t* high = block + 128;
  const uint8_t* scales = block + 192;
  const float d = Half(block + 208);
  for (int group = 0; group < kSuper / 16; ++group) {
    const float scale = d * Signed(scales[group]);
    for (int e = group * 16; e < group * 16 + 16; ++e) {
      const uint8_t pair = low[e / 128 * 64 + e % 64];
      const uint32_t low_four = e % 128 < 64 ? LowNibble(pair) : HighNibble(pair);
      const uint32_t high_two = TwoBits(high, e);
      out[e] = scale * Float(low_four | high_two << 4, 32);
    }
  }
}

// As Q4_0, with steps. d step(q)
void DecodeIQ4_NL(const uint8_t* block, float* out) {
  const float d = Half(block);
  const uint8_t* q = block + 2;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * kNonLinear[LowNibble(q[i])];
    out[i + 16] = d * kNonLinear[HighNibble(q[i])];
  }
}

// d: half, high: 16 bits, two for each group of 32, low: 4 bytes, a nibble for each group, q: 16 bytes for each group
// as in Q4_0. d (scale - 32) step(q)
void DecodeIQ4_XS(const uint8_t* block, float* out) {
  const float d = Half(block);
  const uint32_t high = Two(block + 2);
  const uint8_t* low = block + 4;
  for (int group = 0; group < kSuper / 32; ++group) {
    const uint32_t low_four = group % 2 == 0 ? LowNibble(low[group / 2]) : HighNibble(low[group / 2]);
    const float scale = d * Float(low_four | (high >> (2 * group) & 3) << 4, 32);
    const uint8_t* q = block + 8 + group * 16;
    for (int i = 0; i < 16; ++i) {
      out[group * 32 + i] = scale * kNonLinear[LowNibble(q[i])];
      out[group * 32 + i + 16] = scale * kNonLinear[HighNibble(q[i])];
    }
  }
}

template <float (*Convert)(const uint8_t*)>
void DecodeOne(const uint8_t* element, float* out) {
  *out = Convert(element);
}

// Sign, exponent, fraction, as torch's float8_e4m3fn (no infinity; all ones are no number) and float8_e5m2 (as IEEE).
template <int kExponent, int kFraction>
constexpr std::array<float, 256> Fp8Values() {
  std::array<float, 256> values = {};
  constexpr int kBias = (1 << (kExponent - 1)) - 1;
  for (int byte = 0; byte < 256; ++byte) {
    const int exponent = byte >> kFraction & ((1 << kExponent) - 1), fraction = byte & ((1 << kFraction) - 1);
    float value = static_cast<float>(fraction + (exponent == 0 ? 0 : 1 << kFraction));
    for (int i = exponent == 0 ? 1 : exponent; i < kBias + kFraction; ++i) value /= 2;
    for (int i = kBias + kFraction; i < exponent; ++i) value *= 2;
    if (kExponent == 4 && (byte & 127) == 127) value = std::numeric_limits<float>::quiet_NaN();
    if (kExponent == 5 && exponent == 31) {
      value = fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    }
    values[static_cast<size_t>(byte)] = byte >= 128 ? -value : value;
  }
  return values;
}

template <int kExponent, int kFraction>
void DecodeFp8(const uint8_t* bytes, int64_t count, float* out) {
  static constexpr std::array<float, 256> kValues = Fp8Values<kExponent, kFraction>();
  for (int64_t i = 0; i < count; ++i) out[i] = kValues[bytes[i]];
}

// A template, so that the compiler sees what the loop calls.
template <void (*Decode)(const uint8_t*, float*)>
void DecodeAll(const DtypeFacts& facts, const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t block = 0; block < count / facts.block_elements; ++block) {
    Decode(blocks + block * facts.block_bytes, out + block * facts.block_elements);
  }
}

}  // namespace

void Dequantize(Dtype dtype, const uint8_t* blocks, int64_t count, float* out) {
  const DtypeFacts& facts = FactsOf(dtype);
  if (count < 0 || count % facts.block_elements != 0) {
    throw Error(ErrorCode::kInternal, "asked for " + std::to_string(count) + " elements of " + std::string(facts.name) +
                                          ", expected a multiple of " + std::to_string(facts.block_elements));
  }
  switch (dtype) {
    case Dtype::F32:
      if (count > 0) std::memcpy(out, blocks, static_cast<size_t>(count) * sizeof(float));  // of none there may be no place
      return;
    case Dtype::F16:
      return DecodeAll<DecodeOne<Half>>(facts, blocks, count, out);
    case Dtype::BF16:
      return DecodeAll<DecodeOne<Bfloat>>(facts, blocks, count, out);
    case Dtype::F64:
      return DecodeAll<DecodeOne<Converted<double>>>(facts, blocks, count, out);
    case Dtype::I8:
      return DecodeAll<DecodeOne<Converted<int8_t>>>(facts, blocks, count, out);
    case Dtype::I16:
      return DecodeAll<DecodeOne<Converted<int16_t>>>(facts, blocks, count, out);
    case Dtype::I32:
      return DecodeAll<DecodeOne<Converted<int32_t>>>(facts, blocks, count, out);
    case Dtype::I64:
      return DecodeAll<DecodeOne<Converted<int64_t>>>(facts, blocks, count, out);
    case Dtype::Q8_0:
      return DecodeAll<DecodeQ8_0>(facts, blocks, count, out);
    case Dtype::Q4_0:
      return DecodeAll<DecodeQ4_0>(facts, blocks, count, out);
    case Dtype::Q4_1:
      return DecodeAll<DecodeQ4_1>(facts, blocks, count, out);
    case Dtype::Q5_0:
      return DecodeAll<DecodeQ5_0>(facts, blocks, count, out);
    case Dtype::Q5_1:
      return DecodeAll<DecodeQ5_1>(facts, blocks, count, out);
    case Dtype::Q2_K:
      return DecodeAll<DecodeQ2_K>(facts, blocks, count, out);
    case Dtype::Q3_K:
      return DecodeAll<DecodeQ3_K>(facts, blocks, count, out);
    case Dtype::Q4_K:
      return DecodeAll<DecodeQ4_K>(facts, blocks, count, out);
    case Dtype::Q5_K:
      return DecodeAll<DecodeQ5_K>(facts, blocks, count, out);
    case Dtype::Q6_K:
      return DecodeAll<DecodeQ6_K>(facts, blocks, count, out);
    case Dtype::IQ4_NL:
      return DecodeAll<DecodeIQ4_NL>(facts, blocks, count, out);
    case Dtype::IQ4_XS:
      return DecodeAll<DecodeIQ4_XS>(facts, blocks, count, out);
    case Dtype::F8_E4M3:
      return DecodeFp8<4, 3>(blocks, count, out);
    case Dtype::F8_E5M2:
      return DecodeFp8<5, 2>(blocks, count, out);
    default:
      throw Error(ErrorCode::kInternal, "asked for the values of \"" + std::string(facts.name) + "\", which are no weights");
  }
}

}  // namespace diptych
