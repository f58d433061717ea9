#include "common/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr int kFractionBits = 22;  // of a weight
constexpr int32_t kHalf = 1 << (kFractionBits - 1);
constexpr int32_t kRowsBetweenPauses = 32;
constexpr double kLobes = 3.0;

double Sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= M_PI;
  // Not sin(double), of which glibc has variants for several processors: their last bits may differ.
  return static_cast<double>(sinl(x)) / x;
}

double Lanczos(double x) { return -kLobes <= x && x < kLobes ? Sinc(x) * Sinc(x / kLobes) : 0.0; }

// Which pixels of one axis make pixel o of the result: `count` from `first`, each with its weight.
struct Taps {
  struct Span {
    int32_t first = 0;
    int32_t count = 0;
  };
  int32_t most = 0;              // a span's count
  std::vector<Span> spans;       // [out]
  std::vector<int32_t> weights;  // [out, most], in 2^-22

  const int32_t* Of(int32_t o) const { return weights.data() + static_cast<size_t>(o) * static_cast<size_t>(most); }
};

Taps MakeTaps(int32_t in, int32_t out, const Pause& pause) {
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);
  const double support = kLobes * stretch;
  const double shrink = 1.0 / stretch;
  Taps taps;
  taps.most = std::min(in, static_cast<int32_t>(std::ceil(support)) * 2 + 1);
  taps.spans.resize(static_cast<size_t>(out));
  taps.weights.resize(static_cast<size_t>(out) * static_cast<size_t>(taps.most));
  std::vector<double> exact(static_cast<size_t>(taps.most));
  for (int32_t o = 0; o < out; ++o) {
    if (pause && o % 1024 == 0) pause();
    const double centre = (o + 0.5) * scale;
    const int32_t first = std::max(static_cast<int32_t>(centre - support + 0.5), 0);
    const int32_t last = std::min(static_cast<int32_t>(centre + support + 0.5), in);
    taps.spans[static_cast<size_t>(o)] = {first, last - first};
    double sum = 0.0;
    for (int32_t t = 0; t < last - first; ++t) {
      exact[static_cast<size_t>(t)] = Lanczos((t + first - centre + 0.5) * shrink);
      sum += exact[static_cast<size_t>(t)];
    }
    int64_t magnitude = 0;
    int32_t* weights = taps.weights.data() + static_cast<size_t>(o) * static_cast<size_t>(taps.most);
    for (int32_t t = 0; t < last - first; ++t) {
      double weight = exact[static_cast<size_t>(t)];
      if (sum != 0.0) weight /= sum;
      weight *= 1 << kFractionBits;
      weights[t] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
      magnitude += std::abs(weights[t]);
    }
    // The sums below have 32 bits, as Pillow's.
    if (magnitude * 255 + kHalf > std::numeric_limits<int32_t>::max()) {
      throw Error(ErrorCode::kInternal,
                  "weights too large to resize " + std::to_string(in) + " px to " + std::to_string(out) + " px");
    }
  }
  return taps;
}

uint8_t Clamp(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

// [height, in, channels] to [height, out, channels].
template <int channels>
std::vector<uint8_t> ResizeRows(const std::vector<uint8_t>& pixels, int32_t in, int32_t height, int32_t out,
                                const Pause& pause) {
  const Taps taps = MakeTaps(in, out, pause);
  std::vector<uint8_t> result(static_cast<size_t>(out) * static_cast<size_t>(height) * channels);
  uint8_t* to = result.data();
  for (int32_t y = 0; y < height; ++y) {
    if (pause && y % kRowsBetweenPauses == 0) pause();
    const uint8_t* row = pixels.data() + static_cast<size_t>(y) * static_cast<size_t>(in) * channels;
    for (int32_t o = 0; o < out; ++o) {
      const Taps::Span span = taps.spans[static_cast<size_t>(o)];
      const int32_t* weights = taps.Of(o);
      const uint8_t* from = row + static_cast<size_t>(span.first) * channels;
      int32_t sums[channels];
      std::fill(sums, sums + channels, kHalf);
      for (int32_t t = 0; t < span.count; ++t) {
        for (int c = 0; c < channels; ++c) sums[c] += weights[t] * *from++;
      }
      for (int c = 0; c < channels; ++c) *to++ = Clamp(sums[c]);
    }
  }
  return result;
}

// [in, row_bytes] to [out, row_bytes].
std::vector<uint8_t> ResizeColumns(const std::vector<uint8_t>& pixels, size_t row_bytes, int32_t in, int32_t out,
                                   const Pause& pause) {
  const Taps taps = MakeTaps(in, out, pause);
  std::vector<uint8_t> result(static_cast<size_t>(out) * row_bytes);
  std::vector<int32_t> sums(row_bytes);
  for (int32_t o = 0; o < out; ++o) {
    std::fill(sums.begin(), sums.end(), kHalf);
    const Taps::Span span = taps.spans[static_cast<size_t>(o)];
    for (int32_t t = 0; t < span.count; ++t) {
      if (pause && (o + t) % kRowsBetweenPauses == 0) pause();
      const int32_t weight = taps.Of(o)[t];
      const uint8_t* from = pixels.data() + static_cast<size_t>(span.first + t) * row_bytes;
      for (size_t i = 0; i < row_bytes; ++i) sums[i] += weight * from[i];
    }
    uint8_t* to = result.data() + static_cast<size_t>(o) * row_bytes;
    for (size_t i = 0; i < row_bytes; ++i) to[i] = Clamp(sums[i]);
  }
  return result;
}

template <int channels>
std::vector<uint8_t> ResizePixels(const std::vector<uint8_t>& pixels, int32_t width, int32_t height, int32_t to_width,
                                  int32_t to_height, const Pause& pause) {
  const bool rows_change = width != to_width, columns_change = height != to_height;
  if (!rows_change && !columns_change) return pixels;
  const auto row_bytes = [](int32_t pixels_a_row) { return static_cast<size_t>(pixels_a_row) * channels; };
  if (!rows_change) return ResizeColumns(pixels, row_bytes(width), height, to_height, pause);
  if (!columns_change) return ResizeRows<channels>(pixels, width, height, to_width, pause);
  // Pillow 13's rule. So the picture in between has no more pixels than the larger one of the others.
  const bool columns_first = to_height < height && int64_t{height} - to_height > 2 * (int64_t{width} - to_width);
  if (columns_first) {
    return ResizeRows<channels>(ResizeColumns(pixels, row_bytes(width), height, to_height, pause), width, to_height,
                                to_width, pause);
  }
  return ResizeColumns(ResizeRows<channels>(pixels, width, height, to_width, pause), row_bytes(to_width), height,
                       to_height, pause);
}

void CheckSize(int32_t width, int32_t height) {
  if (width >= 1 && height >= 1 && width <= kMostResizeSide && height <= kMostResizeSide &&
      int64_t{width} * height <= kMostResizePixels) {
    return;
  }
  throw Error(ErrorCode::kInvalidArgument, "a picture of " + std::to_string(width) + "x" + std::to_string(height) +
                                               " px cannot be resized from or to; each side must be from 1 to " +
                                               std::to_string(kMostResizeSide) + " px, and both make at most " +
                                               std::to_string(kMostResizePixels) + " px");
}

void Check(int32_t width, int32_t height, size_t bytes, size_t channels, int32_t to_width, int32_t to_height) {
  CheckSize(width, height);
  CheckSize(to_width, to_height);
  const size_t expected = channels * static_cast<size_t>(width) * static_cast<size_t>(height);
  if (bytes != expected) {
    throw Error(ErrorCode::kInvalidArgument, "a picture of " + std::to_string(width) + "x" + std::to_string(height) +
                                                 " px must have " + std::to_string(expected) + " bytes, not " +
                                                 std::to_string(bytes));
  }
}

}  // namespace

Picture Resize(const Picture& picture, int32_t width, int32_t height, const Pause& pause) {
  Check(picture.width, picture.height, picture.rgb.size(), 3, width, height);
  return {width, height, ResizePixels<3>(picture.rgb, picture.width, picture.height, width, height, pause)};
}

GreyPicture Resize(const GreyPicture& picture, int32_t width, int32_t height, const Pause& pause) {
  Check(picture.width, picture.height, picture.grey.size(), 1, width, height);
  return {width, height, ResizePixels<1>(picture.grey, picture.width, picture.height, width, height, pause)};
}

}  // namespace diptych
