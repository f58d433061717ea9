// A source picture and a mask as what is painted from, and what was painted back into the source. No services, no
// tensors; integers and Resize alone, so equal input gives equal bytes on every x86-64.
#pragma once

#include <cstdint>
#include <optional>

#include "common/concurrency/pause.h"
#include "common/image/decode_picture.h"
#include "common/image/picture.h"
#include "common/picture/source_plan.h"

namespace diptych {

// How far the part that is repainted reaches into a source that is extended or padded, where its border is: a cell of
// the latent, so that none that the border crosses is kept. At most a quarter of the source's side there.
inline constexpr int32_t kRepaintedBorder = 8;  // pixels of the painted picture

// The part of a source that is painted alone, with SourcePlan::inpaint_crop.
struct SourceInset {
  Picture source;     // all of it
  int32_t left = 0;   // of the part
  int32_t top = 0;    // likewise
  GreyPicture share;  // of the part's size: how much of what was painted goes over the source, 255 all
};

struct PreparedSource {
  Picture picture;                   // of the plan's size
  std::optional<GreyPicture> mask;   // likewise, 255 is repainted and 0 kept; nullopt: nothing is kept as it is
  std::optional<SourceInset> inset;  // nullopt: the whole source is painted
};

// `mask` belongs to the source as it was decoded, and has its size: white is repainted. Both are resized by Lanczos;
// the sampler decides what counts as white (128 and more).
//
// Extended and padded sides are filled with the source's edge, the smoother the farther away. They are repainted when
// the source is extended, has a mask or its alpha is one: the mask is then 255 there and kRepaintedBorder inwards, and
// elsewhere what was given.
//
// Throws Error(kInvalidArgument) for a mask of another size, two masks, a source without alpha whose alpha is asked
// for, a mask of which nothing is left to repaint, inpaint_crop without a mask or with extended sides, and numbers
// beyond DecodeLimits or that leave no room for the source.
PreparedSource PrepareSource(const DecodedPicture& source, const GreyPicture* mask, const SourcePlan& plan,
                             const Pause& pause = {});

// The result of a job. Of an inset: the source with `painted` laid over its part, through the mask; where the mask is 0
// it is the source's to the byte, and inside a mask's edge what was painted comes in over about four of its pixels.
// Else `painted` itself. Throws Error(kInvalidArgument) when `painted` has not the size that was prepared.
Picture PasteBack(const PreparedSource& prepared, Picture painted, const Pause& pause = {});

}  // namespace diptych
