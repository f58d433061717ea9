#include "coordinator/order/source_files.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/digest/sha256.h"
#include "common/error/error.h"

namespace diptych {
namespace {

constexpr int32_t kMultiple = 16;  // pixels

struct InputFile {
  InputHash hash;
  PictureSize size;
};

InputFile Put(const std::string& file, const ReadFile& read, InputBytes& inputs) {
  auto bytes = std::make_shared<const std::string>(read(file));
  InputFile input;
  try {
    input.size = PeekPictureSize(*bytes);
  } catch (const Error& error) {
    throw Error(error.code(), file + ": " + error.what());
  }
  input.hash.hex = Sha256Hex(*bytes);
  inputs.emplace(input.hash.hex, std::move(bytes));
  return input;
}

std::string SizeText(const PictureSize& size) { return std::to_string(size.width) + "x" + std::to_string(size.height); }

int32_t Down(int64_t side) {
  return static_cast<int32_t>(std::clamp<int64_t>(side / kMultiple * kMultiple, kMultiple, members::kWidth.most));
}

}  // namespace

Extend ParseExtend(std::string_view text) {
  int32_t sides[4] = {};
  std::string_view left = text;
  for (int i = 0; i < 4; ++i) {
    const size_t comma = left.find(',');
    const std::string_view number = left.substr(0, comma);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), sides[i]);
    const bool whole = error == std::errc() && end == number.data() + number.size();
    if (!whole || sides[i] < 0 || sides[i] > members::kExtendLeft.most || (comma == left.npos) != (i == 3)) {
      throw Error(ErrorCode::kInvalidArgument,
                  "\"" + std::string(text.substr(0, 100)) +
                      "\" is not four numbers of pixels from 0 to 16384, LEFT,TOP,RIGHT,BOTTOM: 0,0,128,0");
    }
    left.remove_prefix(comma == left.npos ? left.size() : comma + 1);
  }
  return {sides[0], sides[1], sides[2], sides[3]};
}

PictureSize PutSourceFiles(const SourceFiles& files, const ReadFile& read, PictureSpec& spec, InputBytes& inputs) {
  if (files.source.empty()) return {};
  const InputFile source = Put(files.source, read, inputs);
  spec.source = source.hash;
  if (spec.mask_from_alpha && !source.size.has_alpha) {
    throw Error(ErrorCode::kInvalidArgument,
                files.source + ": nothing in it is transparent, so its alpha is no mask; name one with --mask FILE");
  }
  if (files.mask.empty()) return source.size;
  const InputFile mask = Put(files.mask, read, inputs);
  if (mask.size.width != source.size.width || mask.size.height != source.size.height) {
    throw Error(ErrorCode::kInvalidArgument, files.mask + ": the mask has " + SizeText(mask.size) + " pixels, " +
                                                 files.source + " has " + SizeText(source.size) +
                                                 "; they must have the same size");
  }
  spec.mask = mask.hash;
  return source.size;
}

void TakeSizeOf(const PictureSize& source, bool width, bool height, PictureSpec& spec) {
  const Extend extend = spec.Extends();
  if (width) spec.width = Down(int64_t{source.width} + extend.left + extend.right);
  if (height) spec.height = Down(int64_t{source.height} + extend.top + extend.bottom);
}

}  // namespace diptych
