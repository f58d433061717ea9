// Pictures of sizes that no renderer paints: the nearest legal size is painted, and the file is cropped or padded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/image/picture.h"

namespace diptych {

// Sides are painted in patches of so many pixels.
inline constexpr int32_t kPaintedMultiple = 16;

enum class FitMode {
  kNone,
  kCrop,  // paints the next larger size; the middle of it is the file
  kPad,   // paints the next smaller size; the file has black edges around it
};
std::string FitModeName(FitMode mode);
FitMode ParseFitMode(const std::string& name);  // "none", "crop" or "pad"

struct PictureFit {
  FitMode mode = FitMode::kNone;
  int32_t width = 0;  // pixels; of the file
  int32_t height = 0;

  bool operator==(const PictureFit&) const = default;
};

// The side that is painted for a file's side; 0 stays 0. Throws WrongWish that begins with `flag` when none is:
// without a mode for what is no multiple, and for padding of less than 16 px.
int32_t PaintedSide(int32_t side, FitMode mode, const std::string& flag);

// The middle of a larger picture, or a smaller one in the middle, side by side as each needs it.
Picture FitPicture(const Picture& painted, const PictureFit& fit);

// The text in a fitted file, beside a receipt that says what was painted.
inline constexpr char kFitKeyword[] = "diptych_fit";
std::string FitJson(const PictureFit& fit);
std::optional<PictureFit> FindFit(const PictureText& texts);  // nullopt: none, or one that is damaged

}  // namespace diptych
