#include "common/picture/prepare_source.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "common/error/error.h"
#include "common/image/resize.h"

namespace diptych {
namespace {

constexpr int32_t kRowsBetweenPauses = 64;
constexpr int32_t kWhite = 128;  // from here on the sampler repaints
// How far inside a mask's edge what was painted comes in.
constexpr int32_t kFeather = 4;       // pixels that were painted
constexpr int32_t kLeastFeather = 3;  // pixels of the source
constexpr int32_t kMostFeather = 32;

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

std::string SizeText(int64_t width, int64_t height) {
  return std::to_string(width) + "x" + std::to_string(height) + " px";
}

struct Box {
  int32_t left = 0, top = 0, width = 0, height = 0;
  int32_t Right() const { return left + width; }
  int32_t Bottom() const { return top + height; }
};

// Rows of pixels of either kind.
template <int channels>
struct Pixels {
  int32_t width, height;
  const std::vector<uint8_t>& bytes;
  const uint8_t* Row(int32_t y) const { return bytes.data() + static_cast<size_t>(y) * RowBytes(); }
  size_t RowBytes() const { return static_cast<size_t>(width) * channels; }
};
Pixels<3> PixelsOf(const Picture& picture) { return {picture.width, picture.height, picture.rgb}; }
Pixels<1> PixelsOf(const GreyPicture& picture) { return {picture.width, picture.height, picture.grey}; }

template <int channels>
std::vector<uint8_t> CutBytes(const Pixels<channels>& pixels, const Box& box) {
  std::vector<uint8_t> out;
  const size_t row_bytes = static_cast<size_t>(box.width) * channels;
  out.reserve(row_bytes * static_cast<size_t>(box.height));
  for (int32_t y = box.top; y < box.Bottom(); ++y) {
    const uint8_t* row = pixels.Row(y) + static_cast<size_t>(box.left) * channels;
    out.insert(out.end(), row, row + row_bytes);
  }
  return out;
}
Picture Cut(const Picture& picture, const Box& box) {
  return {box.width, box.height, CutBytes(PixelsOf(picture), box)};
}
GreyPicture Cut(const GreyPicture& picture, const Box& box) {
  return {box.width, box.height, CutBytes(PixelsOf(picture), box)};
}

template <int channels>
std::vector<uint8_t> PlaceBytes(const Pixels<channels>& pixels, int32_t width, int32_t height, const Box& box) {
  std::vector<uint8_t> out(static_cast<size_t>(width) * static_cast<size_t>(height) * channels);
  for (int32_t y = 0; y < box.height; ++y) {
    const size_t at = static_cast<size_t>(y + box.top) * static_cast<size_t>(width) + static_cast<size_t>(box.left);
    std::copy_n(pixels.Row(y), pixels.RowBytes(), out.data() + at * channels);
  }
  return out;
}

int32_t Rounded(int64_t numerator, int64_t denominator) {
  return static_cast<int32_t>((numerator + denominator / 2) / denominator);
}

// A part of the source, and where in the painted picture it comes.
struct Place {
  Box from, to;
};

Place PlaceOf(int32_t width, int32_t height, const SourcePlan& plan) {
  const Extend& extend = plan.extend;
  const Box inner = {extend.left, extend.top, plan.width - extend.left - extend.right,
                     plan.height - extend.top - extend.bottom};
  Place place{{0, 0, width, height}, inner};
  // Above zero: the room is wider than the source in proportion.
  const int64_t wider = int64_t{inner.width} * height - int64_t{inner.height} * width;
  if (plan.fit == SourceFit::kCrop && wider != 0) {
    Box& from = place.from;
    if (wider > 0) from.height = std::max(1, Rounded(int64_t{width} * inner.height, inner.width));
    if (wider < 0) from.width = std::max(1, Rounded(int64_t{height} * inner.width, inner.height));
    from.left = (width - from.width) / 2;
    from.top = (height - from.height) / 2;
  }
  if (plan.fit == SourceFit::kPad && wider != 0) {
    Box& to = place.to;
    if (wider > 0) to.width = std::max(1, Rounded(int64_t{inner.height} * width, height));
    if (wider < 0) to.height = std::max(1, Rounded(int64_t{inner.width} * height, width));
    to.left += (inner.width - to.width) / 2;
    to.top += (inner.height - to.height) / 2;
  }
  return place;
}

// Means over windows of a line of pixels.
class Line {
 public:
  // `count` pixels, `step` bytes from one to the next.
  Line(const uint8_t* pixels, int32_t count, size_t step) : count_(count), sums_(3 * static_cast<size_t>(count + 1)) {
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      for (size_t c = 0; c < 3; ++c) sums_[3 * (i + 1) + c] = sums_[3 * i + c] + pixels[i * step + c];
    }
  }

  // Of those that are there.
  void Mean(int32_t at, int32_t radius, uint8_t* rgb) const {
    const int32_t first = std::max(0, at - radius), end = std::min(count_, at + radius + 1);
    const auto count = static_cast<uint32_t>(end - first);
    for (size_t c = 0; c < 3; ++c) {
      const uint32_t sum = sums_[3 * static_cast<size_t>(end) + c] - sums_[3 * static_cast<size_t>(first) + c];
      rgb[c] = static_cast<uint8_t>((sum + count / 2) / count);
    }
  }

 private:
  const int32_t count_;
  std::vector<uint32_t> sums_;
};

// Fills what is outside of the box: sideways from the box, then up and down from all of these rows. Each pixel is a
// mean of the edge over as many pixels as it is away.
void FillAround(Picture& canvas, const Box& box, const Pause& pause) {
  const auto pixel = [&](int32_t x, int32_t y) {
    return canvas.rgb.data() +
           3 * (static_cast<size_t>(y) * static_cast<size_t>(canvas.width) + static_cast<size_t>(x));
  };
  const size_t row_bytes = 3 * static_cast<size_t>(canvas.width);
  const Line left(pixel(box.left, box.top), box.height, row_bytes);
  const Line right(pixel(box.Right() - 1, box.top), box.height, row_bytes);
  for (int32_t y = 0; y < box.height; ++y) {
    if (pause && y % kRowsBetweenPauses == 0) pause();
    for (int32_t x = 0; x < box.left; ++x) left.Mean(y, (box.left - x) / 2, pixel(x, box.top + y));
    for (int32_t x = box.Right(); x < canvas.width; ++x) {
      right.Mean(y, (x - box.Right() + 1) / 2, pixel(x, box.top + y));
    }
  }
  const Line top(pixel(0, box.top), canvas.width, 3);
  const Line bottom(pixel(0, box.Bottom() - 1), canvas.width, 3);
  for (int32_t y = 0; y < canvas.height; ++y) {
    if (pause && y % kRowsBetweenPauses == 0) pause();
    if (y >= box.top && y < box.Bottom()) continue;
    const Line& line = y < box.top ? top : bottom;
    const int32_t away = y < box.top ? box.top - y : y - box.Bottom() + 1;
    for (int32_t x = 0; x < canvas.width; ++x) line.Mean(x, away / 2, pixel(x, y));
  }
}

// White outside of the box and a little inside.
void RepaintAround(GreyPicture& mask, const Box& box) {
  const int32_t across = std::min(kRepaintedBorder, box.width / 4), down = std::min(kRepaintedBorder, box.height / 4);
  const int32_t left = box.left > 0 ? box.left + across : 0;
  const int32_t right = box.Right() < mask.width ? box.Right() - across : mask.width;
  const int32_t top = box.top > 0 ? box.top + down : 0;
  const int32_t bottom = box.Bottom() < mask.height ? box.Bottom() - down : mask.height;
  for (int32_t y = 0; y < mask.height; ++y) {
    uint8_t* row = mask.grey.data() + static_cast<size_t>(y) * static_cast<size_t>(mask.width);
    if (y < top || y >= bottom) {
      std::fill_n(row, mask.width, 255);
    } else {
      std::fill_n(row, left, 255);
      std::fill(row + right, row + mask.width, 255);
    }
  }
}

// Around what is not black; nullopt if all is.
std::optional<Box> BoxAround(const GreyPicture& mask) {
  int32_t left = mask.width, right = 0, top = mask.height, bottom = 0;
  for (int32_t y = 0; y < mask.height; ++y) {
    const uint8_t* row = PixelsOf(mask).Row(y);
    const uint8_t* end = row + mask.width;
    const uint8_t* first = std::find_if(row, end, [](uint8_t value) { return value != 0; });
    if (first == end) continue;
    while (end[-1] == 0) --end;
    left = std::min(left, static_cast<int32_t>(first - row));
    right = std::max(right, static_cast<int32_t>(end - row));
    top = std::min(top, y);
    bottom = y + 1;
  }
  if (right == 0) return std::nullopt;
  return Box{left, top, right - left, bottom - top};
}

// [begin, begin + length) made longer on both sides, within [0, end).
void GrowTo(int64_t length, int32_t end, int32_t& begin, int32_t& old_length) {
  const auto now = static_cast<int32_t>(std::clamp<int64_t>(length, old_length, end));
  begin = std::clamp(begin - (now - old_length) / 2, 0, end - now);
  old_length = now;
}

Box InsetBox(const GreyPicture& mask, const Box& around, const SourcePlan& plan) {
  const int64_t more = *plan.inpaint_crop;
  const auto left = static_cast<int32_t>(std::max<int64_t>(0, around.left - more));
  const auto top = static_cast<int32_t>(std::max<int64_t>(0, around.top - more));
  const auto right = static_cast<int32_t>(std::min<int64_t>(mask.width, around.Right() + more));
  const auto bottom = static_cast<int32_t>(std::min<int64_t>(mask.height, around.Bottom() + more));
  Box box{left, top, right - left, bottom - top};
  // To the shape that is painted, as far as the source reaches.
  GrowTo(Rounded(int64_t{box.height} * plan.width, plan.height), mask.width, box.left, box.width);
  GrowTo(Rounded(int64_t{box.width} * plan.height, plan.width), mask.height, box.top, box.height);
  return box;
}

// How far each pixel of the part is from the next black one, in steps to any of eight neighbours, counted up to `most`.
// Outside of the part all is black, and outside of the source nothing is.
std::vector<uint8_t> DistanceToBlack(const GreyPicture& part, const Box& box, int32_t source_width,
                                     int32_t source_height, uint8_t most, const Pause& pause) {
  const int32_t width = part.width, height = part.height;
  const bool open_left = box.left == 0, open_right = box.Right() == source_width;
  const bool open_top = box.top == 0, open_bottom = box.Bottom() == source_height;
  std::vector<uint8_t> distance(part.grey.size());
  for (size_t i = 0; i < distance.size(); ++i) distance[i] = part.grey[i] == 0 ? 0 : most;
  const auto at = [&](int32_t x, int32_t y) -> uint8_t {
    if ((x < 0 && open_left) || (x >= width && open_right) || (y < 0 && open_top) || (y >= height && open_bottom)) {
      return most;
    }
    if (x < 0 || x >= width || y < 0 || y >= height) return 0;
    return distance[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)];
  };
  const auto lower = [&](int32_t x, int32_t y, int32_t step) {  // by those in front of it, in the direction of the pass
    uint8_t& here = distance[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)];
    if (here == 0) return;
    const uint8_t least = std::min({at(x - step, y), at(x - 1, y - step), at(x, y - step), at(x + 1, y - step)});
    here = std::min<uint8_t>(here, static_cast<uint8_t>(std::min<int>(least + 1, most)));
  };
  for (int32_t y = 0; y < height; ++y) {
    if (pause && y % kRowsBetweenPauses == 0) pause();
    for (int32_t x = 0; x < width; ++x) lower(x, y, 1);
  }
  for (int32_t y = height - 1; y >= 0; --y) {
    if (pause && y % kRowsBetweenPauses == 0) pause();
    for (int32_t x = width - 1; x >= 0; --x) lower(x, y, -1);
  }
  return distance;
}

// No more than the mask says, and less along its edge.
GreyPicture ShareOf(GreyPicture part, const Box& box, const Picture& source, const SourcePlan& plan,
                    const Pause& pause) {
  const int32_t feather = std::clamp(Rounded(int64_t{kFeather} * box.width, plan.width), kLeastFeather, kMostFeather);
  const auto most = static_cast<uint8_t>(feather + 1);
  const std::vector<uint8_t> distance = DistanceToBlack(part, box, source.width, source.height, most, pause);
  for (size_t i = 0; i < distance.size(); ++i) {
    part.grey[i] = std::min(part.grey[i], static_cast<uint8_t>(255 * distance[i] / most));
  }
  return part;
}

void CheckBytes(int32_t width, int32_t height, size_t bytes, size_t channels, const std::string& what) {
  const DecodeLimits limits;
  if (width < 1 || height < 1 || width > limits.max_side || height > limits.max_side ||
      int64_t{width} * height > limits.max_pixels) {
    Refuse(what + " has " + SizeText(width, height) + "; each side must be from 1 to " +
           std::to_string(limits.max_side) + " px, and both make at most " + std::to_string(limits.max_pixels) + " px");
  }
  const size_t expected = channels * static_cast<size_t>(width) * static_cast<size_t>(height);
  if (bytes != expected) {
    Refuse(what + " of " + SizeText(width, height) + " must have " + std::to_string(expected) + " bytes, not " +
           std::to_string(bytes));
  }
}

void CheckPlan(const SourcePlan& plan) {
  CheckBytes(plan.width, plan.height, static_cast<size_t>(plan.width) * static_cast<size_t>(plan.height), 1,
             "the picture that is to be painted");
  const Extend& extend = plan.extend;
  for (const int32_t side : {extend.left, extend.top, extend.right, extend.bottom}) {
    if (side < 0) Refuse("a side cannot be extended by " + std::to_string(side) + " px; 0 or more is right");
  }
  const int64_t across = int64_t{extend.left} + extend.right, down = int64_t{extend.top} + extend.bottom;
  if (across >= plan.width || down >= plan.height) {
    Refuse("extended by " + std::to_string(across) + " px across and " + std::to_string(down) +
           " px down, a picture of " + SizeText(plan.width, plan.height) + " has no room for its source");
  }
  if (plan.inpaint_crop && *plan.inpaint_crop < 0) {
    Refuse("the part around the mask cannot reach " + std::to_string(*plan.inpaint_crop) +
           " px beyond it; 0 or more is right");
  }
  if (plan.inpaint_crop && extend.Any()) {
    Refuse("a part around the mask is painted alone, or the source is extended, but not both");
  }
}

// What was given, or made from alpha; nullopt: none.
std::optional<GreyPicture> MaskOf(const DecodedPicture& source, const GreyPicture* mask, const SourcePlan& plan) {
  const Picture& picture = source.picture;
  if (mask != nullptr) {
    if (plan.mask_from_alpha) Refuse("a mask is given, and the source's alpha is to be one; one of them is right");
    if (mask->width != picture.width || mask->height != picture.height) {
      Refuse("the mask has " + SizeText(mask->width, mask->height) + " and its source " +
             SizeText(picture.width, picture.height) + "; they must have the same size");
    }
    CheckBytes(mask->width, mask->height, mask->grey.size(), 1, "the mask");
    return *mask;
  }
  if (!plan.mask_from_alpha) return std::nullopt;
  if (!source.alpha) Refuse("the source's alpha is to be the mask, but it has none");
  GreyPicture alpha = *source.alpha;
  if (alpha.width != picture.width || alpha.height != picture.height) {
    throw Error(ErrorCode::kInternal, "a picture's alpha has another size than the picture");
  }
  CheckBytes(alpha.width, alpha.height, alpha.grey.size(), 1, "the alpha");
  for (uint8_t& value : alpha.grey) value = static_cast<uint8_t>(255 - value);
  return alpha;
}

void CheckSomethingIsRepainted(const GreyPicture& mask, const SourcePlan& plan, const char* advice) {
  if (std::any_of(mask.grey.begin(), mask.grey.end(), [](uint8_t value) { return value >= kWhite; })) return;
  Refuse("the mask leaves nothing to repaint at " + SizeText(mask.width, mask.height) + ": " +
         (plan.mask_from_alpha ? "transparent parts are repainted (alpha of 127 and less)"
                               : "white parts are repainted (128 and more)") +
         advice);
}

PreparedSource PrepareInset(const Picture& source, const std::optional<GreyPicture>& mask, const SourcePlan& plan,
                            const Pause& pause) {
  if (!mask) Refuse("a part around the mask is to be painted, but there is no mask");
  const auto around = BoxAround(*mask);
  if (!around) CheckSomethingIsRepainted(*mask, plan, "");
  const Box box = InsetBox(*mask, *around, plan);
  GreyPicture part = Cut(*mask, box);
  PreparedSource prepared;
  prepared.picture = Resize(Cut(source, box), plan.width, plan.height, pause);
  prepared.mask = Resize(part, plan.width, plan.height, pause);
  CheckSomethingIsRepainted(*prepared.mask, plan, "");
  prepared.inset = {source, box.left, box.top, ShareOf(std::move(part), box, source, plan, pause)};
  return prepared;
}

bool IsWhole(const Box& box, int32_t width, int32_t height) { return box.width == width && box.height == height; }

}  // namespace

PreparedSource PrepareSource(const DecodedPicture& source, const GreyPicture* mask, const SourcePlan& plan,
                             const Pause& pause) {
  const Picture& picture = source.picture;
  CheckBytes(picture.width, picture.height, picture.rgb.size(), 3, "the source");
  CheckPlan(plan);
  const std::optional<GreyPicture> given = MaskOf(source, mask, plan);
  if (plan.inpaint_crop) return PrepareInset(picture, given, plan, pause);

  const auto [from, to] = PlaceOf(picture.width, picture.height, plan);
  const bool cuts = !IsWhole(from, picture.width, picture.height);
  const bool fills = !IsWhole(to, plan.width, plan.height);
  const auto place = [&, &from = from, &to = to](const auto& whole) {
    return cuts ? Resize(Cut(whole, from), to.width, to.height, pause) : Resize(whole, to.width, to.height, pause);
  };
  PreparedSource prepared;
  prepared.picture = place(picture);
  if (fills) {
    prepared.picture = {plan.width, plan.height, PlaceBytes(PixelsOf(prepared.picture), plan.width, plan.height, to)};
    FillAround(prepared.picture, to, pause);
  }
  if (!given && !plan.extend.Any()) return prepared;
  prepared.mask =
      given ? place(*given)
            : GreyPicture{to.width, to.height,
                          std::vector<uint8_t>(static_cast<size_t>(to.width) * static_cast<size_t>(to.height))};
  if (fills) {
    prepared.mask = {plan.width, plan.height, PlaceBytes(PixelsOf(*prepared.mask), plan.width, plan.height, to)};
    RepaintAround(*prepared.mask, to);
  }
  CheckSomethingIsRepainted(*prepared.mask, plan,
                            "; a small one gets lost when a large source is made smaller, unless the part around it is "
                            "painted alone");
  return prepared;
}

Picture PasteBack(const PreparedSource& prepared, Picture painted, const Pause& pause) {
  if (painted.width != prepared.picture.width || painted.height != prepared.picture.height) {
    Refuse("a picture of " + SizeText(painted.width, painted.height) + " cannot be laid back where " +
           SizeText(prepared.picture.width, prepared.picture.height) + " were taken from");
  }
  if (!prepared.inset) return painted;
  const auto& [source, left, top, share] = *prepared.inset;
  const Picture part = Resize(painted, share.width, share.height, pause);
  Picture result = source;
  for (int32_t y = 0; y < share.height; ++y) {
    if (pause && y % kRowsBetweenPauses == 0) pause();
    const size_t in_source =
        static_cast<size_t>(y + top) * static_cast<size_t>(source.width) + static_cast<size_t>(left);
    const size_t in_part = static_cast<size_t>(y) * static_cast<size_t>(share.width);
    for (size_t x = 0; x < static_cast<size_t>(share.width); ++x) {
      const int weight = share.grey[in_part + x];
      uint8_t* to = result.rgb.data() + 3 * (in_source + x);
      const uint8_t* over = part.rgb.data() + 3 * (in_part + x);
      for (size_t c = 0; c < 3; ++c) {
        to[c] = static_cast<uint8_t>((to[c] * (255 - weight) + over[c] * weight + 127) / 255);
      }
    }
  }
  return result;
}

}  // namespace diptych
