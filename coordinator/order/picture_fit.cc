#include "coordinator/order/picture_fit.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/json/bounded_json.h"
#include "coordinator/order/wrong_wish.h"

namespace diptych {
namespace {

constexpr int32_t kMaxSide = 65500;  // of a file in any format

// Where a side of `from` pixels lies in one of `to`: what is left out of it at its beginning, or stands before it.
struct Placement {
  int32_t skipped = 0, before = 0, taken = 0;
};

Placement Place(int32_t from, int32_t to) {
  return {.skipped = std::max(0, (from - to) / 2), .before = std::max(0, (to - from) / 2), .taken = std::min(from, to)};
}

}  // namespace

std::string FitModeName(FitMode mode) {
  return mode == FitMode::kCrop ? "crop" : mode == FitMode::kPad ? "pad" : "none";
}

FitMode ParseFitMode(const std::string& name) {
  return name == "crop" ? FitMode::kCrop : name == "pad" ? FitMode::kPad : FitMode::kNone;
}

int32_t PaintedSide(int32_t side, FitMode mode, const std::string& flag) {
  const int32_t below = side / kPaintedMultiple * kPaintedMultiple;
  if (below == side) return side;
  const int32_t above = below + kPaintedMultiple;
  if (mode == FitMode::kCrop) return above;
  if (mode == FitMode::kPad && below > 0) return below;
  const std::string nearest =
      below == 0 ? absl::StrCat("the nearest is ", above) : absl::StrCat("the nearest are ", below, " and ", above);
  throw WrongWish(absl::StrCat(flag, ": ", side, " must be a multiple of ", kPaintedMultiple, "; ", nearest,
                               mode == FitMode::kPad ? "; --fit crop paints that and crops it"
                                                     : ", or generate --fit crop|pad makes a file of this size"));
}

Picture FitPicture(const Picture& painted, const PictureFit& fit) {
  Picture picture{fit.width, fit.height, {}};
  picture.rgb.resize(3 * static_cast<size_t>(fit.width) * static_cast<size_t>(fit.height));
  const Placement x = Place(painted.width, fit.width), y = Place(painted.height, fit.height);
  for (int32_t row = 0; row < y.taken; ++row) {
    const size_t from = 3 * (static_cast<size_t>(y.skipped + row) * static_cast<size_t>(painted.width) +
                             static_cast<size_t>(x.skipped));
    const size_t to =
        3 * (static_cast<size_t>(y.before + row) * static_cast<size_t>(fit.width) + static_cast<size_t>(x.before));
    std::copy_n(painted.rgb.begin() + static_cast<std::ptrdiff_t>(from), 3 * x.taken,
                picture.rgb.begin() + static_cast<std::ptrdiff_t>(to));
  }
  return picture;
}

std::string FitJson(const PictureFit& fit) {
  return nlohmann::ordered_json{{"fit", FitModeName(fit.mode)}, {"width", fit.width}, {"height", fit.height}}.dump();
}

std::optional<PictureFit> FindFit(const PictureText& texts) {
  for (const auto& [keyword, text] : texts) {
    if (keyword != kFitKeyword) continue;
    const auto json = JsonOrDiscarded(text, {.bytes = 1000, .values = 10});
    if (!json.is_object() || !json.contains("fit") || !json["fit"].is_string()) return std::nullopt;
    PictureFit fit{.mode = ParseFitMode(json["fit"].get<std::string>()), .width = 0, .height = 0};
    for (const auto& [key, side] : {std::pair("width", &fit.width), std::pair("height", &fit.height)}) {
      if (!json.contains(key) || !json[key].is_number_integer() || json[key] < 1 || json[key] > kMaxSide) {
        return std::nullopt;
      }
      *side = json[key].get<int32_t>();
    }
    if (fit.mode == FitMode::kNone) return std::nullopt;
    return fit;
  }
  return std::nullopt;
}

}  // namespace diptych
