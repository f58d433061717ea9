// The files that a picture begins as.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/image/decode_picture.h"
#include "common/picture/picture_spec.h"

namespace diptych {

// "0,0,128,0": left, top, right, bottom. Throws Error(kInvalidArgument) saying what is wrong with the text.
Extend ParseExtend(std::string_view text);

// Reads a whole file; throws Error naming it.
using ReadFile = std::function<std::string(const std::string& file)>;

struct SourceFiles {
  std::string source;  // a file; empty: none
  std::string mask;    // likewise
};

// Bytes of inputs by their hash.
using InputBytes = std::map<std::string, std::shared_ptr<const std::string>>;

// Names the files in the spec and puts their bytes into `inputs`. Returns the source's size, upright; 0x0 without one.
// Throws Error: as `read`; kInvalidArgument and kDataLoss naming the file for what is no picture that is read, a mask
// of another size than the source and a source without transparency whose alpha is to be the mask.
PictureSize PutSourceFiles(const SourceFiles& files, const ReadFile& read, PictureSpec& spec, InputBytes& inputs);

// The sides of a picture that has its source's size: with what it is extended by, down to a multiple of 16, as the
// reference. At least 16.
void TakeSizeOf(const PictureSize& source, bool width, bool height, PictureSpec& spec);

}  // namespace diptych
