// What a picture is: everything that a person may ask for and that determines its pixels, beside the models. This is
// the only list of it. The job (job_spec.h) is this plus labels, the receipt (common/receipt) this plus what it was
// made with; wire codec, JSON, ranges, options and comparisons walk the table below. docs/architecture.md says what it
// takes to add a member.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/conditioning/conditioning.h"
#include "common/picture/source_plan.h"
#include "common/picture/start_step.h"
#include "common/prompt/prompt_parts.h"

namespace diptych {

// A file that a picture needs beside its text, named by the SHA-256 of its bytes: 64 lower-case hexadecimal digits, or
// empty: none. Clients upload it once (UploadInput of render.proto).
struct InputHash {
  std::string hex;

  bool empty() const { return hex.empty(); }
  bool operator==(const InputHash&) const = default;
};

// The defaults are Z-Image-Turbo's.
struct PictureSpec {
  std::optional<PromptParts> prompt = {};    // required unless conditioning is uploaded; then only a label
  std::optional<PromptParts> negative = {};  // used when guidance_scale > 0; unset: the empty prompt
  int32_t width = 1024;                      // pixels
  int32_t height = 1024;                     // pixels
  int32_t steps = 9;                         // real evaluations
  uint64_t seed = 0;                         // the noise takes its lower 32 bits
  std::optional<double> shift = {};          // unset: the checkpoint's own
  double guidance_scale = 0;                 // 0: off
  double cfg_normalization = 0;              // 0: off
  double cfg_truncation = 1;                 // 0 and 1: never; else steps with t above it run without guidance
  int32_t layer = -2;                        // index into the encoder's hidden states, negative from the end
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;
  InputHash source = {};  // a picture that this one begins as; none: noise
  InputHash mask = {};    // of the source's size: what is painted anew where it is light; none: all of it
  // How much of the source is given up, of 0 to 1; unset: 0.6, with a mask 1, as the reference. No effect without one.
  std::optional<double> strength = {};
  SourceFit source_fit = SourceFit::kStretch;  // how the source comes to the picture's size
  bool mask_from_alpha = false;                // what is transparent in the source is painted anew
  bool soft_mask = false;                      // greys of the mask mix; else it is light or dark
  // The part around the mask, with so many pixels of the source on each side, is painted at the picture's size and put
  // back into the source, whose size the picture then has; unset: the whole.
  std::optional<int32_t> inpaint_crop = {};
  // Pixels of the picture around the source that are painted.
  int32_t extend_left = 0, extend_top = 0, extend_right = 0, extend_bottom = 0;

  // Whether a part of the source is kept: this is inpaint or outpaint.
  bool HasMask() const { return !mask.empty() || mask_from_alpha || Extends().Any(); }
  Extend Extends() const { return {extend_left, extend_top, extend_right, extend_bottom}; }
  // How often the network is evaluated (start_step.h). Of a settled spec.
  int32_t Evaluations() const { return source.empty() ? steps : steps - FirstStep(steps, strength.value_or(1)); }

  bool operator==(const PictureSpec&) const = default;
};

// One member. T is its type without std::optional.
template <typename T, typename Field>
struct PictureMember {
  using Value = T;

  std::string_view name;  // on the wire, in JSON, in receipts and in messages
  Field PictureSpec::*field;
  T least = {}, most = {};     // of numbers, inclusive; of others nothing
  std::string_view hint = "";  // what a number out of range should know besides
  // The schema of receipts that the member came with (common/receipt/receipt.h). Beyond the first it is left out of
  // JSON where it has its default, so that what was written before it came stays as it was, byte for byte.
  int schema = 1;

  static constexpr bool kOptional = !std::is_same_v<T, Field>;
};

// The values that a member of a few choices may have, in the order of their numbers on the wire, which begin with 1;
// 0 there is the default.
inline constexpr std::array kLongPromptModes = {LongPromptMode::kTruncate, LongPromptMode::kInterpolate,
                                                LongPromptMode::kPool, LongPromptMode::kAttentionPool};
constexpr const auto& ChoicesOf(LongPromptMode) { return kLongPromptModes; }
inline std::string_view ChoiceName(LongPromptMode mode) { return LongPromptModeName(mode); }

// The table, in the order of receipts.
namespace members {
using Prompt = PictureMember<PromptParts, std::optional<PromptParts>>;
using Whole = PictureMember<int32_t, int32_t>;
using Number = PictureMember<double, double>;

inline constexpr Prompt kPrompt{"prompt", &PictureSpec::prompt};
inline constexpr Prompt kNegative{"negative", &PictureSpec::negative};
// The model says more about sizes: most sides, and what they must be multiples of.
inline constexpr Whole kWidth{"width", &PictureSpec::width, 1, 16384};
inline constexpr Whole kHeight{"height", &PictureSpec::height, 1, 16384};
inline constexpr PictureMember<uint64_t, uint64_t> kSeed{"seed", &PictureSpec::seed, 0,
                                                         std::numeric_limits<uint64_t>::max()};
inline constexpr Whole kSteps{"steps", &PictureSpec::steps, 1, 1000};
inline constexpr PictureMember<double, std::optional<double>> kShift{"shift", &PictureSpec::shift, 0.001, 1000};
inline constexpr Number kGuidanceScale{"guidance_scale", &PictureSpec::guidance_scale, 0, 1000};
inline constexpr Number kCfgNormalization{"cfg_normalization", &PictureSpec::cfg_normalization, 0, 1000};
inline constexpr Number kCfgTruncation{"cfg_truncation", &PictureSpec::cfg_truncation, 0, 1};
// Whether it is deep enough for an encoder only the encoder knows.
inline constexpr Whole kLayer{"layer", &PictureSpec::layer, -1000, -1,
                              "hidden states are counted from the end, -1 is the last"};
inline constexpr PictureMember<LongPromptMode, LongPromptMode> kLongPromptMode{"long_prompt_mode",
                                                                               &PictureSpec::long_prompt_mode};
using Input = PictureMember<InputHash, InputHash>;
inline constexpr Input kSource{.name = "source", .field = &PictureSpec::source, .schema = 4};
inline constexpr Input kMask{.name = "mask", .field = &PictureSpec::mask, .schema = 4};
inline constexpr PictureMember<double, std::optional<double>> kStrength{
    .name = "strength", .field = &PictureSpec::strength, .least = 0, .most = 1, .schema = 4};
inline constexpr PictureMember<SourceFit, SourceFit> kSourceFit{
    .name = "source_fit", .field = &PictureSpec::source_fit, .schema = 4};
using Flag = PictureMember<bool, bool>;
inline constexpr Flag kMaskFromAlpha{.name = "mask_from_alpha", .field = &PictureSpec::mask_from_alpha, .schema = 4};
inline constexpr Flag kSoftMask{.name = "soft_mask", .field = &PictureSpec::soft_mask, .schema = 4};
inline constexpr PictureMember<int32_t, std::optional<int32_t>> kInpaintCrop{
    .name = "inpaint_crop", .field = &PictureSpec::inpaint_crop, .least = 0, .most = 4096, .schema = 4};
inline constexpr Whole kExtendLeft{
    .name = "extend_left", .field = &PictureSpec::extend_left, .least = 0, .most = 16384, .schema = 4};
inline constexpr Whole kExtendTop{
    .name = "extend_top", .field = &PictureSpec::extend_top, .least = 0, .most = 16384, .schema = 4};
inline constexpr Whole kExtendRight{
    .name = "extend_right", .field = &PictureSpec::extend_right, .least = 0, .most = 16384, .schema = 4};
inline constexpr Whole kExtendBottom{
    .name = "extend_bottom", .field = &PictureSpec::extend_bottom, .least = 0, .most = 16384, .schema = 4};
}  // namespace members

// Calls visit(member) for each row.
template <typename Visit>
constexpr void ForEachMember(Visit&& visit) {
  visit(members::kPrompt);
  visit(members::kNegative);
  visit(members::kWidth);
  visit(members::kHeight);
  visit(members::kSeed);
  visit(members::kSteps);
  visit(members::kShift);
  visit(members::kGuidanceScale);
  visit(members::kCfgNormalization);
  visit(members::kCfgTruncation);
  visit(members::kLayer);
  visit(members::kLongPromptMode);
  visit(members::kSource);
  visit(members::kMask);
  visit(members::kStrength);
  visit(members::kSourceFit);
  visit(members::kMaskFromAlpha);
  visit(members::kSoftMask);
  visit(members::kInpaintCrop);
  visit(members::kExtendLeft);
  visit(members::kExtendTop);
  visit(members::kExtendRight);
  visit(members::kExtendBottom);
}

inline constexpr double kDefaultStrength = 0.6;  // without a mask
inline constexpr int32_t kDefaultLayer = PictureSpec{}.layer;

// Whether the spec says there what a default-constructed one says.
template <typename Member>
bool IsDefault(const Member& member, const PictureSpec& spec) {
  static const PictureSpec kDefault;
  return spec.*member.field == kDefault.*member.field;
}

// A number as messages show it: without trailing zeros.
std::string NumberText(double value);

// Throws Error(kInvalidArgument): "steps 0 is not from 1 to 1000", with the hint behind it where there is one.
[[noreturn]] void RefuseRange(std::string_view name, double value, double least, double most, bool whole,
                              std::string_view hint);

// Throws it unless the number is in the member's range; what is no number is in none.
template <typename Member>
void CheckRange(const Member& member, typename Member::Value value) {
  if (value >= member.least && value <= member.most) return;
  RefuseRange(member.name, static_cast<double>(value), static_cast<double>(member.least),
              static_cast<double>(member.most), std::is_integral_v<typename Member::Value>, member.hint);
}

// The inputs that the picture needs, each with the name of its member: its role.
std::vector<std::pair<std::string_view, InputHash>> InputsOf(const PictureSpec& spec);

// Throws Error(kInvalidArgument) naming a number that is not finite or out of its range, its value and the limits, and
// an input whose hash is none.
void CheckRanges(const PictureSpec& spec);

// Says what is left open as far as the spec itself decides it, and leaves out what has no effect, so that equal
// pictures have equal specs. Throws Error(kInvalidArgument) for what does not go together: a mask or an extension
// without a source, two masks.
void Settle(PictureSpec& spec);

}  // namespace diptych
