#include "common/picture/picture_spec.h"

#include <cstdio>

#include "common/error/error.h"

namespace diptych {
namespace {

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

}  // namespace

std::string NumberText(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

void RefuseRange(std::string_view name, double value, double least, double most, bool whole, std::string_view hint) {
  std::string message = std::string(name) + " " + NumberText(value) +
                        (whole ? " is not from " : " is not a number from ") + NumberText(least) + " to " +
                        NumberText(most);
  if (!hint.empty()) message += "; " + std::string(hint);
  Refuse(message);
}

std::vector<std::pair<std::string_view, InputHash>> InputsOf(const PictureSpec& spec) {
  std::vector<std::pair<std::string_view, InputHash>> inputs;
  ForEachMember([&](const auto& member) {
    if constexpr (std::is_same_v<typename std::decay_t<decltype(member)>::Value, InputHash>) {
      if (!(spec.*member.field).empty()) inputs.emplace_back(member.name, spec.*member.field);
    }
  });
  return inputs;
}

void Settle(PictureSpec& spec) {
  if (!spec.source.empty()) {
    if (!spec.strength) spec.strength = spec.HasMask() ? 1 : kDefaultStrength;
    if (!spec.HasMask()) spec.soft_mask = false;
    if (!spec.mask.empty() && spec.mask_from_alpha) Refuse("mask and mask_from_alpha: there can be one mask only");
    if (spec.inpaint_crop && spec.mask.empty() && !spec.mask_from_alpha) {
      Refuse("inpaint_crop: there is no mask around which a part could be cut out");
    }
    if (spec.inpaint_crop && spec.Extends().Any()) {
      Refuse("inpaint_crop and extend: a part that is put back cannot extend the source");
    }
    const Extend extend = spec.Extends();
    if (int64_t{extend.left} + extend.right >= spec.width || int64_t{extend.top} + extend.bottom >= spec.height) {
      Refuse("extend: it leaves nothing of a picture of " + std::to_string(spec.width) + "x" +
             std::to_string(spec.height) + " for the source");
    }
    return;
  }
  if (!spec.mask.empty()) Refuse("mask: there is no source that it is of");
  if (spec.mask_from_alpha) Refuse("mask_from_alpha: there is no source");
  if (spec.inpaint_crop) Refuse("inpaint_crop: there is no source");
  if (spec.Extends().Any()) Refuse("extend: there is no source");
  spec.strength.reset();
  spec.source_fit = SourceFit::kStretch;
  spec.soft_mask = false;
}

void CheckRanges(const PictureSpec& spec) {
  for (const auto& [role, hash] : InputsOf(spec)) {
    if (hash.hex.size() == 64 && hash.hex.find_first_not_of("0123456789abcdef") == std::string::npos) continue;
    throw Error(ErrorCode::kInvalidArgument,
                std::string(role) + " is not the SHA-256 of an input, 64 lower-case hexadecimal digits");
  }
  ForEachMember([&](const auto& member) {
    using Member = std::decay_t<decltype(member)>;
    if constexpr (std::is_arithmetic_v<typename Member::Value> && !std::is_same_v<typename Member::Value, bool>) {
      if constexpr (Member::kOptional) {
        if (const auto& value = spec.*member.field) CheckRange(member, *value);
      } else {
        CheckRange(member, spec.*member.field);
      }
    }
  });
}

}  // namespace diptych
