// Foreign numbers as sizes, masks and plans: a prepared picture of the plan's size that goes back into its source, or
// an Error. 32-bit numbers, little-endian, in the order of Input; what follows are pixels.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

#include "common/error/error.h"
#include "common/image/resize.h"
#include "common/picture/prepare_source.h"

namespace {

using namespace diptych;

struct Input {
  int32_t width, height, mask_width, mask_height;
  int32_t to_width, to_height, left, top, right, bottom, inpaint_crop;
  uint32_t choices;  // 0 and 1: the fit; 2: mask; 3: alpha; 4: mask from alpha; 5: inpaint_crop; 6: sizes as they are
};

void Require(bool holds) {
  if (!holds) std::abort();
}

// Repeats the bytes; none where they would be many.
std::vector<uint8_t> Fill(const uint8_t* data, size_t size, size_t count) {
  std::vector<uint8_t> bytes(count > 300'000 ? 0 : count);
  for (size_t i = 0; i < bytes.size() && size > 0; ++i) bytes[i] = data[i % size];
  return bytes;
}

size_t Count(int32_t width, int32_t height) {
  return width < 1 || height < 1 ? 0 : static_cast<size_t>(width) * static_cast<size_t>(height);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in;
  if (size < sizeof(in)) return 0;
  std::memcpy(&in, data, sizeof(in));
  data += sizeof(in);
  size -= sizeof(in);
  const auto has = [&](int bit) { return (in.choices >> bit & 1) != 0; };
  // Sizes that fit are small, so that a run tries many; those that do not fit stay as they are.
  const auto small = [&](int32_t& side) {
    if (!has(6) || (side > 300 && side <= 20'000)) side = side % 300;
  };
  for (int32_t* side : {&in.width, &in.height, &in.mask_width, &in.mask_height, &in.to_width, &in.to_height})
    small(*side);

  DecodedPicture source;
  source.picture = {in.width, in.height, Fill(data, size, 3 * Count(in.width, in.height))};
  if (has(3)) source.alpha = {in.width, in.height, Fill(data, size, Count(in.width, in.height))};
  const GreyPicture mask{in.mask_width, in.mask_height, Fill(data, size / 2, Count(in.mask_width, in.mask_height))};
  SourcePlan plan{.width = in.to_width,
                  .height = in.to_height,
                  .fit = static_cast<SourceFit>(in.choices % 3),
                  .extend = {in.left, in.top, in.right, in.bottom},
                  .mask_from_alpha = has(4),
                  .inpaint_crop = std::nullopt};
  if (has(5)) plan.inpaint_crop = in.inpaint_crop;
  try {
    const PreparedSource prepared = PrepareSource(source, has(2) ? &mask : nullptr, plan);
    const size_t pixels = Count(plan.width, plan.height);
    Require(prepared.picture.width == plan.width && prepared.picture.height == plan.height);
    Require(pixels > 0 && prepared.picture.rgb.size() == 3 * pixels);
    Require(prepared.mask.has_value() == (has(2) || has(4) || plan.extend.Any()));
    if (prepared.mask) {
      Require(prepared.mask->width == plan.width && prepared.mask->grey.size() == pixels);
      Require(*std::max_element(prepared.mask->grey.begin(), prepared.mask->grey.end()) >= 128);
    }
    Require(prepared.inset.has_value() == has(5));
    const Picture back = PasteBack(prepared, {plan.width, plan.height, std::vector<uint8_t>(3 * pixels, 77)});
    if (!prepared.inset) {
      Require(back.rgb == std::vector<uint8_t>(3 * pixels, 77));
      return 0;
    }
    Require(back.width == in.width && back.height == in.height && back.rgb.size() == source.picture.rgb.size());
    for (size_t i = 0; i < back.rgb.size() / 3; ++i) {
      const uint8_t given = has(2) ? mask.grey[i] : static_cast<uint8_t>(255 - source.alpha->grey[i]);
      for (size_t c = 3 * i; c < 3 * i + 3; ++c) {
        if (given == 0) Require(back.rgb[c] == source.picture.rgb[c]);
        const auto [low, high] = std::minmax({source.picture.rgb[c], uint8_t{77}});
        Require(back.rgb[c] >= low && back.rgb[c] <= high);
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
