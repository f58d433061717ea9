#include "render_node/pipeline/latent_preview.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr int64_t kPixelsOfAPicture = 1024;
constexpr double kMemory = 4096;  // pairs
// Of the mean square of a feature, added to each: the map stays small where the pairs say nothing.
constexpr double kRidge = 1e-3;

std::string Shape(const LatentState& latent) {
  return std::to_string(latent.channels) + " x " + std::to_string(latent.height) + " x " + std::to_string(latent.width);
}

// a x = b for a symmetric positive definite a [n, n] and b [n, m], by Cholesky's decomposition; b becomes x.
void SolvePositive(std::vector<double> a, std::vector<double>& b, size_t n, size_t m) {
  for (size_t j = 0; j < n; ++j) {  // a's lower half becomes L, a = L L^T
    for (size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  }
  for (size_t c = 0; c < m; ++c) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < i; ++k) b[i * m + c] -= a[i * n + k] * b[k * m + c];
      b[i * m + c] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
      for (size_t k = i + 1; k < n; ++k) b[i * m + c] -= a[k * n + i] * b[k * m + c];
      b[i * m + c] /= a[i * n + i];
    }
  }
}

// The features of latent pixel `place`, into f.
void Fill(std::vector<double>& f, const LatentState& latent, size_t place) {
  const size_t places = static_cast<size_t>(latent.height) * static_cast<size_t>(latent.width);
  f[0] = 1;
  for (size_t c = 0; c < static_cast<size_t>(latent.channels); ++c) {
    const double x = latent.values[c * places + place];
    f[3 * c + 1] = x;
    f[3 * c + 2] = std::abs(x);
    f[3 * c + 3] = std::tanh(x);
  }
}

uint8_t Byte(double value) { return value > 0 ? static_cast<uint8_t>(std::lround(std::min(value, 255.0))) : 0; }

}  // namespace

LatentPreview::LatentPreview(int32_t channels)
    : channels_(channels), features_(3 * static_cast<size_t>(channels) + 1), learned_(features_), map_(features_ * 3) {
  std::fill(map_.begin(), map_.begin() + 3, 128.0);
}

void LatentPreview::CheckShape(const LatentState& latent) const {
  const size_t values =
      static_cast<size_t>(latent.channels) * static_cast<size_t>(latent.height) * static_cast<size_t>(latent.width);
  if (latent.channels == channels_ && latent.height > 0 && latent.width > 0 && latent.values.size() == values) return;
  throw Error(ErrorCode::kInvalidArgument, "no preview of " + std::to_string(latent.values.size()) +
                                               " values as a latent of " + Shape(latent) + ": it must have " +
                                               std::to_string(channels_) + " channels");
}

LatentPreview::Sums LatentPreview::SumsOf(const LatentState& latent, const Picture& picture) const {
  CheckShape(latent);
  const int32_t scale = picture.width / latent.width;
  const size_t pixels = static_cast<size_t>(picture.width) * static_cast<size_t>(picture.height);
  if (scale < 1 || picture.width != latent.width * scale || picture.height != latent.height * scale ||
      picture.rgb.size() != 3 * pixels) {
    throw Error(ErrorCode::kInvalidArgument, "a picture of " + std::to_string(picture.width) + " x " +
                                                 std::to_string(picture.height) +
                                                 " pixels is not that of a latent of " + Shape(latent));
  }
  const int64_t places = static_cast<int64_t>(latent.height) * latent.width;
  const int64_t stride = (places + kPixelsOfAPicture - 1) / kPixelsOfAPicture;
  Sums sums(features_);
  std::vector<double> f(features_);
  for (int64_t place = 0; place < places; place += stride) {
    Fill(f, latent, static_cast<size_t>(place));
    if (!std::all_of(f.begin(), f.end(), [](double x) { return std::isfinite(x); }))
      continue;  // it would stay for ever
    const int64_t row = place / latent.width, column = place % latent.width;
    std::array<double, 3> rgb{};
    for (int64_t y = row * scale; y < (row + 1) * scale; ++y) {
      const uint8_t* line = picture.rgb.data() + 3 * (y * picture.width + column * scale);
      for (int64_t i = 0; i < 3 * scale; ++i) rgb[static_cast<size_t>(i % 3)] += line[i];
    }
    for (size_t i = 0; i < features_; ++i) {
      for (size_t j = 0; j <= i; ++j) sums.ff[i * features_ + j] += f[i] * f[j];
      for (size_t c = 0; c < 3; ++c) sums.fy[i * 3 + c] += f[i] * rgb[c] / static_cast<double>(scale * scale);
    }
    ++sums.pairs;
  }
  return sums;
}

void LatentPreview::Learn(const LatentState& latent, const Picture& picture) {
  const Sums sums = SumsOf(latent, picture);
  const std::lock_guard lock(mutex_);
  const double kept = std::min(1.0, kMemory / (learned_.pairs + sums.pairs));
  const auto add = [kept](std::vector<double>& to, const std::vector<double>& more) {
    for (size_t i = 0; i < to.size(); ++i) to[i] = kept * (to[i] + more[i]);
  };
  add(learned_.ff, sums.ff);
  add(learned_.fy, sums.fy);
  learned_.pairs = kept * (learned_.pairs + sums.pairs);
  if (!(learned_.pairs > 0)) return;

  std::vector<double> ff = learned_.ff, map = learned_.fy;
  double squares = 0;
  for (size_t i = 0; i < features_; ++i) squares += ff[i * features_ + i];  // at least `pairs`, from the 1
  for (size_t i = 0; i < features_; ++i) ff[i * features_ + i] += kRidge * squares / static_cast<double>(features_);
  SolvePositive(std::move(ff), map, features_, 3);
  map_ = std::move(map);
}

Picture LatentPreview::Show(const LatentState& latent) const {
  CheckShape(latent);
  std::vector<double> map;
  {
    const std::lock_guard lock(mutex_);
    map = map_;
  }
  const size_t places = static_cast<size_t>(latent.height) * static_cast<size_t>(latent.width);
  Picture picture{latent.width, latent.height, std::vector<uint8_t>(3 * places)};
  std::vector<double> f(features_);
  for (size_t place = 0; place < places; ++place) {
    Fill(f, latent, place);
    std::array<double, 3> rgb{};
    for (size_t i = 0; i < features_; ++i) {
      for (size_t c = 0; c < 3; ++c) rgb[c] += f[i] * map[3 * i + c];
    }
    for (size_t c = 0; c < 3; ++c) picture.rgb[3 * place + c] = Byte(rgb[c]);
  }
  return picture;
}

}  // namespace diptych
